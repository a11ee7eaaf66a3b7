"""A queue in memory: late, twice, out of order, and in the end in the dead-letter queue."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from shared.core import queue_message
from shared.core.errors import QueueError
from shared.core.run import ATTEMPTS_MAX, ChunkRef
from shared.core.user_batch import UserBatch
from tests.fakes.fake_clock import FakeClock

DELAY_S_MAX = 900.0
"""The longest that SQS holds a message back."""


@dataclass(slots=True)
class Message:
    """`due_s` is the time of the clock from which it can be received."""

    id: str
    ref: ChunkRef
    due_s: float
    receives: int = 0


class FakeQueue:
    """Implements the port `ChunkQueue`; time is that of `clock`.

    Messages come in any order once `shuffle` is set, and each as often as `copies` says when it is
    sent. A message is received at most `receives_max` times, then it is in `dead`. Messages that
    name users are in `batches`, and stay there.
    """

    def __init__(
        self,
        clock: FakeClock,
        *,
        visibility_s: float = 120.0,
        receives_max: int = ATTEMPTS_MAX,
    ) -> None:
        self.sent: list[tuple[ChunkRef, float]] = []
        self.dead: list[ChunkRef] = []
        self.batches: list[UserBatch] = []
        self.copies = 1
        self.shuffle: random.Random | None = None
        self._clock = clock
        self._visibility_s = visibility_s
        self._receives_max = receives_max
        self._messages: dict[str, Message] = {}
        self._numbers = 0
        self._failures: list[QueueError] = []
        self._lock = threading.Lock()

    def send(self, messages: Sequence[queue_message.Message], delay_s: float = 0.0) -> None:
        with self._lock:
            if self._failures:
                raise self._failures.pop(0)
            due_s = self._clock.monotonic_s() + min(delay_s, DELAY_S_MAX)
            for each in messages:
                if isinstance(each, UserBatch):
                    self.batches.append(each)
                    continue
                self.sent.append((each, delay_s))
                for _ in range(self.copies):
                    self._add(each, due_s)

    # -- what a test does to it ---------------------------------------------------------------

    def fail_next(self, error: QueueError, times: int = 1) -> None:
        """The next `times` calls of `send` raise `error` and queue nothing."""
        self._failures += [error] * times

    def take(self, limit: int | None = None) -> dict[str, ChunkRef]:
        """Receive the messages that are due, by their ids. Until they are deleted they come again
        when `visibility_s` are over."""
        with self._lock:
            due = self._due()
            for message in due[:limit]:
                message.receives += 1
                message.due_s = self._clock.monotonic_s() + self._visibility_s
            return {message.id: message.ref for message in due[:limit]}

    def delete(self, ids: Sequence[str]) -> None:
        """As a worker does that has handled them."""
        with self._lock:
            for each in ids:
                self._messages.pop(each, None)

    def hand_back(self, ids: Sequence[str]) -> None:
        """As a worker does that has failed: they can be received again at once."""
        with self._lock:
            for each in ids:
                self._messages[each].due_s = self._clock.monotonic_s()

    def duplicate(self) -> None:
        """Deliver every message that waits once more, at its time."""
        with self._lock:
            for message in list(self._messages.values()):
                self._add(message.ref, message.due_s)

    def __len__(self) -> int:
        """How many messages are in it, whether somebody has received them or not."""
        return len(self._messages)

    def waiting(self) -> int:
        """How many messages are not due yet, those that somebody has received included."""
        with self._lock:
            return len(self._messages) - len(self._due())

    def next_due_s(self) -> float | None:
        """Seconds until something can be received; None when the queue is empty."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            due_s = min((message.due_s for message in self._messages.values()), default=None)
            return None if due_s is None else max(0.0, due_s - now_s)

    def _add(self, ref: ChunkRef, due_s: float) -> None:
        self._numbers += 1
        message = Message(str(self._numbers), ref, due_s)
        self._messages[message.id] = message

    def _due(self) -> list[Message]:
        now_s = self._clock.monotonic_s()
        due = [message for message in self._messages.values() if message.due_s <= now_s]
        for message in due:
            if message.receives >= self._receives_max:
                self.dead.append(self._messages.pop(message.id).ref)
        due = [message for message in due if message.id in self._messages]
        if self.shuffle is not None:
            self.shuffle.shuffle(due)
        return due
