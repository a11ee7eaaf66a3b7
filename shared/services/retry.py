"""Retry with jittered exponential backoff, for errors that say a retry may help."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.core.errors import ReconcileError
from shared.ports.clock import Clock

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`attempts_max` calls in all; the n-th wait is random up to `base_s` * 2^n, or `cap_s`."""

    attempts_max: int = 3
    base_s: float = 0.25
    cap_s: float = 8.0

    def delay_s(self, attempt: int) -> float:
        """Full jitter, so that workers that failed together do not come back together."""
        return random.uniform(0, min(self.cap_s, self.base_s * 2**attempt))


def with_retry(
    call: Callable[[], T],
    clock: Clock,
    backoff: Backoff,
    *,
    unless: tuple[type[ReconcileError], ...] = (),
) -> T:
    """Call until it answers.

    Re-raises the last error, and at once an error that no retry helps with or that is in `unless`.
    """
    for attempt in range(1, backoff.attempts_max):
        try:
            return call()
        except ReconcileError as error:
            if not error.retryable or isinstance(error, unless):
                raise
        clock.sleep(backoff.delay_s(attempt))
    return call()
