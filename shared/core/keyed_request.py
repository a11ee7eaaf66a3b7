"""A request that comes with an idempotency key, and what is known of it."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """`function`, `actor` and `key` are what it is known by, `payload_hash` is what else it says.

    `token` is this attempt's own: whoever shows it may answer.
    """

    function: str
    actor: str
    key: str
    payload_hash: str
    token: UUID


class RequestState(StrEnum):
    """What is to be done with a request that was begun."""

    NEW = "new"
    """Nobody has: carry it out."""
    DONE = "done"
    """It was carried out, and has an answer."""
    IN_FLIGHT = "in_flight"
    """Another attempt is at it."""
    MISMATCH = "mismatch"
    """Its key came with another payload before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """`status` and `body` are the stored answer of DONE; IN_FLIGHT lasts `wait_s` at most."""

    state: RequestState
    status: int | None = None
    body: str | None = None
    wait_s: float = 0.0
