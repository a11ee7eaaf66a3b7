"""When a function that may run only so long has to stop taking work."""

from collections.abc import Callable

from shared.ports.clock import Clock

ShouldStop = Callable[[], bool]
"""Asked between two pieces of work: begin no other one?"""

RESERVE_S = 20.0
"""Kept for what is under way: a script that takes its 15 s timeout, and closing its chunk."""


def before_deadline(clock: Clock, left_s: float, reserve_s: float = RESERVE_S) -> ShouldStop:
    """A `should_stop` that says so `reserve_s` (at most half of the time) before the end."""
    stop_at_s = clock.monotonic_s() + left_s - min(reserve_s, left_s / 2)
    return lambda: clock.monotonic_s() >= stop_at_s
