"""A clock that moves only when somebody sleeps."""

import threading
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


class FakeClock:
    """Implements the port `Clock`; `sleeps` holds every wait asked for, in seconds."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def sleep(self, duration_s: float) -> None:
        with self._lock:
            self.sleeps.append(duration_s)
            self._elapsed_s += duration_s

    def advance(self, duration_s: float) -> None:
        """Let time pass without a sleep."""
        with self._lock:
            self._elapsed_s += duration_s
