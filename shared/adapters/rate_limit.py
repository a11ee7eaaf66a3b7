"""A pace for calls of one process: at most so many a second."""

import threading

from shared.ports import Clock


class RateLimit:
    """Spaces calls evenly; `per_s` 0 means no limit. Safe for threads."""

    def __init__(self, per_s: float, clock: Clock) -> None:
        self._interval_s = 1 / per_s if per_s else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next_s = 0.0

    def wait(self) -> None:
        """Return when the next call may be made."""
        with self._lock:
            now = self._clock.monotonic_s()
            turn = max(now, self._next_s)
            self._next_s = turn + self._interval_s
        if turn > now:
            self._clock.sleep(turn - now)
