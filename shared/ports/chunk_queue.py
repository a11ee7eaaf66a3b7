"""The queue of chunks."""

from collections.abc import Sequence
from typing import Protocol

from shared.core.queue_message import Message


class ChunkQueue(Protocol):
    """Messages that each name one chunk, or users. May raise QueueError."""

    def send(self, messages: Sequence[Message], delay_s: float = 0.0) -> None:
        """Queue a message for each; delivered after at least `delay_s`, 900 at most."""
