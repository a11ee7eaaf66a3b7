"""How many users one script asks about: halved on a limit, grown back while all goes well."""

import threading

BATCH_USERS_MAX = 10_000
"""A script of 10,000 users costs an emulator 0.2 s; larger ones save little (DESIGN.md §6)."""

_SUCCESSES_TO_GROW = 3
_SUCCESSES_TO_PROBE = 100
"""Scripts of full size that work before a size once refused is tried again."""


class BatchSize:
    """One per process, for all its threads: what one script ran into, the others need not.

    `current` is between 1 and `users_max`. A size that was refused is remembered, and the size
    stays a quarter below it until `_SUCCESSES_TO_PROBE` scripts have worked.
    """

    def __init__(self, users_max: int = BATCH_USERS_MAX) -> None:
        self._users_max = users_max
        self._current = users_max
        self._refused: int | None = None
        self._successes = 0
        self._lock = threading.Lock()

    @property
    def current(self) -> int:
        """The size to aim at, in users."""
        return self._current

    @property
    def largest(self) -> int:
        """The most that one script should ask about: a quarter above `current`, so that the few
        users that a ledger has gained since it was cut cost no script of their own."""
        with self._lock:
            largest = self._current + self._current // 4
            return max(1, min(largest, self._ceiling()))

    def too_large(self, size: int) -> None:
        """A script of `size` users ran into a limit.

        One far below `current` is not blamed on its size: the node has trouble of another kind.
        """
        with self._lock:
            if size < 2 or size < self._current // 2:
                return
            self._refused = size
            self._current = min(self._current, size // 2)
            self._successes = 0

    def worked(self, size: int) -> None:
        """A script of `size` users was answered; one far below `current` proves nothing."""
        with self._lock:
            if self._refused is not None and size >= self._refused:
                self._refused = None  # it was not the size
            if size > self._current:
                self._current = min(size, self._users_max)
            elif size >= self._current // 2:
                self._successes += 1
                self._grow()

    def _grow(self) -> None:
        ceiling = min(self._users_max, self._ceiling())
        if self._current < ceiling and self._successes >= _SUCCESSES_TO_GROW:
            self._current = min(self._current + max(1, self._current // 4), ceiling)
            self._successes = 0
        elif self._refused is not None and self._successes >= _SUCCESSES_TO_PROBE:
            self._refused = None
            self._successes = 0

    def _ceiling(self) -> int:
        if self._refused is None:
            return self._users_max + self._users_max // 4
        return self._refused - max(1, self._refused // 4)
