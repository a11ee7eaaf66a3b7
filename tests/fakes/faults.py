"""How a fake database fails: by order, by a rule, before the work or only in its answer."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from shared.core.errors import ReconcileError

Failing = Callable[[str, Sequence[str]], ReconcileError | None]
"""(method, keys it is called for) → the error that it raises, or None."""


class Faulty(ABC):
    """A fake whose calls are atomic: whatever one raises, it changed nothing.

    `calls` logs (method, number of keys). Fakes with the same `lock` are one database.
    """

    def __init__(self, lock: AbstractContextManager[object] | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.before_call: Callable[[str], None] = lambda method: None
        """Called with the method's name before it does anything; may move rows."""
        self.lock = lock or threading.RLock()
        self._failures: list[tuple[ReconcileError, str | None]] = []
        self._lost_answers: list[tuple[ReconcileError, str | None]] = []
        self._failing: Failing = lambda method, keys: None

    @abstractmethod
    def _begin(self) -> Callable[[], None]:
        """Begin a transaction; what is returned rolls it back."""

    def fail_next(
        self, error: ReconcileError, times: int = 1, *, method: str | None = None
    ) -> None:
        """The next `times` calls (of `method`) raise `error` and change nothing."""
        self._failures += [(error, method)] * times

    def lose_next_answer(self, error: ReconcileError, *, method: str | None = None) -> None:
        """The next call (of `method`) does its work and raises `error` all the same."""
        self._lost_answers.append((error, method))

    def fail_when(self, failing: Failing) -> None:
        """Every call raises what `failing` returns for it, unless that is None."""
        self._failing = failing

    @contextmanager
    def _call(self, method: str, keys: Sequence[str] = ()) -> Iterator[None]:
        """One transaction: rolled back when it raises."""
        with self.lock:
            self.before_call(method)
            self.calls.append((method, len(keys)))
            if error := _pop(self._failures, method) or self._failing(method, keys):
                raise error
            roll_back = self._begin()
            try:
                yield
            except BaseException:
                roll_back()
                raise
            if error := _pop(self._lost_answers, method):
                raise error


def _pop(failures: list[tuple[ReconcileError, str | None]], method: str) -> ReconcileError | None:
    for position, (error, only) in enumerate(failures):
        if only in (None, method):
            del failures[position]
            return error
    return None
