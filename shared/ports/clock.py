"""Time."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, aware, in UTC."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""

    def sleep(self, duration_s: float) -> None:
        """Wait."""
