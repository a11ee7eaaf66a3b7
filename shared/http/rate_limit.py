"""How often a caller may ask: RECONCILE_REQUESTS_PER_MIN, counted for all instances together."""

import math

from shared.http.actor import Actor
from shared.http.problem import Problem
from shared.settings import Settings


def take_slot(actor: Actor, config: Settings) -> None:
    """Count a request of the actor's. Raises a 429 Problem; LedgerError, and then nobody is let in:
    a limit that opens when the database is down is none."""
    if not config.reconcile_requests_per_min:
        return
    from shared.bootstrap import services  # here, because importing both clients takes a second

    wait_s = services().request_slots.take(actor.id, config.reconcile_requests_per_min)
    if wait_s > 0:
        raise _too_many(max(1, math.ceil(wait_s)))


def _too_many(wait_s: int) -> Problem:
    return Problem(
        429,
        "rate_limited",
        f"This caller has asked too often. Wait {wait_s} s, as Retry-After says.",
        retryable=True,
        headers={"Retry-After": str(wait_s)},
    )
