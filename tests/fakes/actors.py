"""Processes of their own that stop before every call of a port, until a test lets them go on."""

import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from shared.core.errors import ContractUnreachable, LedgerUnreachable, ReconcileError


class Order(Enum):
    """How the call that an actor waits before is to go."""

    GO_ON = auto()
    FAIL = auto()
    """It raises that the other side cannot be reached, and does nothing."""
    LOSE_ANSWER = auto()
    """It does its work, and raises all the same."""


class Crash(BaseException):
    """The end of an actor's process: nothing catches it."""


class Actor:
    """Runs `work` in a thread, one call at a time. `work` gets a function that wraps a port so that
    its calls are stepped; it must not call ports from two threads at once."""

    def __init__(self, work: Callable[[Callable[[Any], Any]], None]) -> None:
        self.done = False
        self.error: BaseException | None = None
        self._order = Order.GO_ON
        self._crashed = False
        self._turn = threading.Semaphore(0)
        self._parked = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()
        self._parked.acquire()

    def step(self, order: Order = Order.GO_ON) -> None:
        """Let it make its next call and work on to the one after. Raises what its work raised."""
        self._order = order
        self._turn.release()
        self._parked.acquire()
        if self.error is not None:
            raise self.error

    def crash(self) -> None:
        """End it where it stands: whatever it holds, it hands nothing back."""
        if not self.done:
            self._crashed = True
            self._turn.release()
            self._parked.acquire()
        self._thread.join()

    def _run(self, work: Callable[[Callable[[Any], Any]], None]) -> None:
        try:
            work(lambda port: _Stepped(port, self))
        except Crash:
            pass
        except BaseException as error:
            self.error = error
        self.done = True
        self._parked.release()

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Wait for the order, then carry it out."""
        if not self._crashed:
            self._parked.release()
            self._turn.acquire()
        if self._crashed:
            raise Crash
        order = self._order
        if order is Order.FAIL:
            raise _unreachable(method)
        answer = method(*args, **kwargs)
        if order is Order.LOSE_ANSWER:
            raise _unreachable(method)
        return answer


class _Stepped:
    def __init__(self, port: Any, actor: Actor) -> None:
        self._port = port
        self._actor = actor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *args, **kwargs: self._actor.call(method, *args, **kwargs)


def _unreachable(method: Callable[..., Any]) -> ReconcileError:
    name = method.__qualname__
    side = ContractUnreachable if name.startswith("FakeContract") else LedgerUnreachable
    return side(f"{name} cannot be reached", remedy="Try again.")
