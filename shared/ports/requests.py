"""What is remembered of requests."""

from typing import Protocol

from shared.core.keyed_request import Begun, KeyedRequest


class Idempotency(Protocol):
    """What was answered to whom under which key. Every method may raise LedgerError."""

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        """Ask whether to carry it out: NEW leases it for `lease_s`; the key lives for `ttl_s`."""

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        """Store the answer; False when another attempt has taken the request over."""

    def abandon(self, request: KeyedRequest) -> None:
        """Give back a request that has no answer to keep, so that it may be tried again."""


class RequestSlots(Protocol):
    """How often an actor may ask. May raise LedgerError."""

    def take(self, actor: str, per_min: int) -> float:
        """Take one of an actor's `per_min` requests; seconds to wait when none is left, else 0."""
