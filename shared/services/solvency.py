"""Is the ledger whole? Its sum against the escrow vault and the contract's own total.

The ledger is read first and the contract at a block after it. Something that moved in between looks
like a difference, so one that is found is looked at again, at least `settle_s` later: it counts as
confirmed when it then is of the same kind.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from shared.core.admin import check_admin_address
from shared.core.alert import Alert, AlertKind
from shared.core.amount import FlowAmount
from shared.core.errors import ContractError, LedgerError
from shared.core.solvency import (
    SolvencyCheck,
    SolvencyFinding,
    SolvencyReading,
    SolvencyState,
)
from shared.core.solvency_alert import mismatch_alert, unreadable_alert
from shared.ports.clock import Clock
from shared.ports.solvency import SolvencyStore, Vault
from shared.services.deadline import RESERVE_S
from shared.services.retry import Backoff, with_retry

T = TypeVar("T")

LOOKS_MAX = 3
"""What differs each time in another way is on the move: it is stored, and not confirmed."""
LASTING_MAX = timedelta(hours=1)
"""How old a stored check may be for a mismatch to have lasted since then."""


class Heights(Protocol):
    """What the check needs of `ContractReader`."""

    def latest_height(self, *, at_least: int = 0) -> int: ...


class Observing(Protocol):
    """What the check needs of `Alerter`."""

    def observe(
        self, kind: AlertKind, alert: Alert | None, *, run_id: UUID | None = None
    ) -> None: ...


class SolvencyChecker:
    """Makes checks, stores each, and tells people of what lasts."""

    def __init__(
        self,
        store: SolvencyStore,
        vault: Vault,
        heights: Heights,
        clock: Clock,
        alerter: Observing,
        *,
        tolerance: FlowAmount,
        settle_s: float,
        backoff: Backoff | None = None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._heights = heights
        self._clock = clock
        self._alerter = alerter
        self._tolerance = tolerance
        self._settle_s = settle_s
        self._backoff = backoff or Backoff()

    def check(
        self,
        admin_address: str,
        *,
        left_s: float | None = None,
        on_wait: Callable[[float], None] = lambda wait_s: None,
    ) -> SolvencyCheck:
        """Check now, store what was found, and open or close the alerts.

        `left_s` is the caller's time: where it is too short to look again, a mismatch is confirmed
        only if an earlier check has found it too. `on_wait` is told of each wait, in seconds. A
        side that does not answer makes the check `unreadable`. Raises InvalidAdmin, and LedgerError
        when the check cannot be stored.
        """
        admin = check_admin_address(admin_address)
        finding = self._found(admin, self._stop_at_s(left_s), on_wait)
        check = self._retry(lambda: self._store.record(finding))
        self._tell(check)
        return check

    def latest(self) -> SolvencyCheck | None:
        """The last check that was stored."""
        return next(iter(self.list(limit=1)), None)

    def list(self, before: UUID | None = None, limit: int = 50) -> list[SolvencyCheck]:
        """The checks, the newest first: those before the check `before`, 1,000 at most."""
        return self._retry(lambda: self._store.list(before=before, limit=limit))

    def _found(
        self, admin: str, stop_at_s: float | None, on_wait: Callable[[float], None]
    ) -> SolvencyFinding:
        check_id = uuid4()
        try:
            reading, confirmed = self._look(stop_at_s, on_wait)
        except (ContractError, LedgerError) as error:
            return SolvencyFinding(
                check_id=check_id,
                admin_address=admin,
                tolerance=self._tolerance,
                state=SolvencyState.UNREADABLE,
                error_code=error.code,
                error=str(error),
            )
        return SolvencyFinding(
            check_id=check_id,
            admin_address=admin,
            tolerance=self._tolerance,
            state=reading.state(self._tolerance),
            confirmed=confirmed,
            reading=reading,
        )

    def _look(
        self, stop_at_s: float | None, on_wait: Callable[[float], None]
    ) -> tuple[SolvencyReading, bool]:
        """The last reading, and whether it shows a mismatch that has lasted."""
        reading = self._read(at_least=0)
        for _ in range(LOOKS_MAX - 1):
            state = reading.state(self._tolerance)
            if not state.is_mismatch:
                return reading, False
            if stop_at_s is not None and self._clock.monotonic_s() + self._settle_s > stop_at_s:
                return reading, self._was_stored(reading)
            on_wait(self._settle_s)
            self._clock.sleep(self._settle_s)
            reading = self._read(at_least=reading.block_height)
            if reading.state(self._tolerance) is state:
                return reading, True
        return reading, False

    def _read(self, *, at_least: int) -> SolvencyReading:
        # Ledger first: every event it contains is then at or below the height read after it.
        ledger = self._retry(self._store.ledger_totals)
        height = self._heights.latest_height(at_least=at_least)
        contract = self._retry(lambda: self._vault.balances_at(height))
        return SolvencyReading(ledger=ledger, contract=contract, block_height=height)

    def _was_stored(self, reading: SolvencyReading) -> bool:
        """Did the last check, not long ago but long enough, find the same?"""
        last = self.latest()
        if last is None or last.state is not reading.state(self._tolerance):
            return False
        age = self._clock.now() - last.checked_at
        return timedelta(seconds=self._settle_s) <= age <= LASTING_MAX

    def _stop_at_s(self, left_s: float | None) -> float | None:
        if left_s is None:
            return None
        return self._clock.monotonic_s() + left_s - min(RESERVE_S, left_s / 2)

    def _tell(self, check: SolvencyCheck) -> None:
        if check.state is SolvencyState.UNREADABLE:
            # What is known of a mismatch stays as it was.
            self._alerter.observe(AlertKind.SOLVENCY_UNREADABLE, unreadable_alert(check))
            return
        self._alerter.observe(AlertKind.SOLVENCY_UNREADABLE, None)
        if check.confirmed:
            self._alerter.observe(AlertKind.SOLVENCY_MISMATCH, mismatch_alert(check))
        elif check.state is SolvencyState.SOLVENT:
            self._alerter.observe(AlertKind.SOLVENCY_MISMATCH, None)

    def _retry(self, call: Callable[[], T]) -> T:
        return with_retry(call, self._clock, self._backoff)
