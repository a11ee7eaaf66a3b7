"""What Lambda gives a function besides its event."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """Says how much time is left."""

    left_ms: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms
