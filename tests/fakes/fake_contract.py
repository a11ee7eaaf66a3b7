"""A contract in memory: balances by height, users that panic, limits, and a log of the scripts."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from shared.core.address import FlowAddress, parse_address
from shared.core.amount import ZERO, FlowAmount
from shared.core.errors import (
    ContractHeightUnavailable,
    ContractLimitExceeded,
    ContractScriptFailed,
    ReconcileError,
)

FIRST_HEIGHT = 100

Addresses = set[FlowAddress]


class FakeContract:
    """Implements the ports `Contract` and `ContractEvents`.

    `calls` logs (height, addresses) of every script; `panicking` are addresses whose query aborts
    the whole script; a script for more than `users_max` is too large. Every `set` seals a block.
    """

    def __init__(self, balances: Mapping[str, int] | None = None, *, users_max: int = 80_000):
        self.height = FIRST_HEIGHT
        self.users_max = users_max
        self.panicking: Addresses = set()
        self.calls: list[tuple[int, list[FlowAddress]]] = []
        self.height_calls = 0
        self.event_calls: list[tuple[int, int]] = []
        self.first_height = FIRST_HEIGHT
        """The events of earlier blocks are pruned."""
        self.before_script: Callable[[int], None] = lambda call: None
        """Called with the number of scripts before this one; may move anything."""
        self._history: dict[FlowAddress, list[tuple[int, FlowAmount]]] = {}
        self._failures: list[ReconcileError] = []
        self._height_failures: list[ReconcileError] = []
        self._event_failures: list[ReconcileError] = []
        self._failing: Callable[[Sequence[FlowAddress]], ReconcileError | None] = lambda users: None
        self._lock = threading.RLock()
        for address, units in (balances or {}).items():
            self._put(parse_address(address), units)

    def set(self, address: str, units: int) -> int:
        """Give a user a balance in a new block; returns its height."""
        with self._lock:
            self.height += 1
            self._put(parse_address(address), units)
            return self.height

    def seal(self, blocks: int = 1) -> None:
        """Seal empty blocks."""
        self.height += blocks

    def balance(self, address: str, block_height: int | None = None) -> FlowAmount:
        """What the contract holds for a user at a height, the latest by default."""
        height = self.height if block_height is None else block_height
        history = self._history.get(parse_address(address), [])
        return next((units for at, units in reversed(history) if at <= height), ZERO)

    def panic_for(self, addresses: Iterable[str]) -> None:
        self.panicking |= {parse_address(address) for address in addresses}

    def fail_next(self, error: ReconcileError, times: int = 1) -> None:
        """The next `times` scripts raise `error`."""
        self._failures += [error] * times

    def fail_next_height(self, error: ReconcileError, times: int = 1) -> None:
        """The next `times` questions for the latest height raise `error`."""
        self._height_failures += [error] * times

    def fail_next_events(self, error: ReconcileError, times: int = 1) -> None:
        """The next `times` questions for events raise `error`."""
        self._event_failures += [error] * times

    def fail_when(self, failing: Callable[[Sequence[FlowAddress]], ReconcileError | None]) -> None:
        """Every script raises what `failing` returns for its addresses, unless that is None."""
        self._failing = failing

    def latest_height(self) -> int:
        with self._lock:
            self.height_calls += 1
            if self._height_failures:
                raise self._height_failures.pop(0)
            return self.height

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        with self._lock:
            self.before_script(len(self.calls))
            self.calls.append((block_height, list(addresses)))
            self._raise_failure(addresses, block_height)
            return [self.balance(address, block_height) for address in addresses]

    def users_changed(self, from_height: int, to_height: int) -> Addresses:
        with self._lock:
            self.event_calls.append((from_height, to_height))
            if self._event_failures:
                raise self._event_failures.pop(0)
            if from_height < self.first_height or to_height > self.height:
                raise ContractHeightUnavailable(
                    f"no block {from_height} or {to_height}", remedy="Try again."
                )
            return {
                address
                for address, history in self._history.items()
                if any(from_height <= height <= to_height for height, _ in history)
            }

    def _raise_failure(self, addresses: Sequence[FlowAddress], block_height: int) -> None:
        if self._failures:
            raise self._failures.pop(0)
        if error := self._failing(addresses):
            raise error
        if block_height > self.height:
            raise ContractHeightUnavailable(f"no block {block_height}", remedy="Try again.")
        if len(addresses) > self.users_max:
            raise ContractLimitExceeded("too large", remedy="Lower RECONCILE_BATCH_SIZE.")
        for address in addresses:
            if address in self.panicking:
                raise ContractScriptFailed(f"panic: no balance for {address}", remedy="Ask.")

    def _put(self, address: FlowAddress, units: int) -> None:
        self._history.setdefault(address, []).append((self.height, FlowAmount(units)))
