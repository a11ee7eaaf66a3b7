"""Idempotency keys that are asked for again when a retry may help: every call may be repeated."""

from collections.abc import Callable
from typing import TypeVar

from shared.core.keyed_request import Begun, KeyedRequest
from shared.ports.clock import Clock
from shared.ports.requests import Idempotency
from shared.services.retry import Backoff, with_retry

T = TypeVar("T")


class RetryingIdempotency:
    """Implements the port `Idempotency` over another."""

    def __init__(self, requests: Idempotency, clock: Clock, backoff: Backoff | None = None) -> None:
        self._requests = requests
        self._clock = clock
        self._backoff = backoff or Backoff()

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        return self._retry(lambda: self._requests.begin(request, ttl_s=ttl_s, lease_s=lease_s))

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        return self._retry(lambda: self._requests.finish(request, status=status, body=body))

    def abandon(self, request: KeyedRequest) -> None:
        self._retry(lambda: self._requests.abandon(request))

    def _retry(self, call: Callable[[], T]) -> T:
        return with_retry(call, self._clock, self._backoff)
