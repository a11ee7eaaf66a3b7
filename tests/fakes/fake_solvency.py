"""Solvency checks in memory, a vault that holds what a test says, and whoever is told of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from shared.core.alert import Alert, AlertKind
from shared.core.amount import FlowAmount
from shared.core.errors import (
    ContractHeightUnavailable,
    LedgerInvalidValue,
    ReconcileError,
)
from shared.core.solvency import (
    LedgerTotals,
    SolvencyCheck,
    SolvencyFinding,
    SolvencyState,
    VaultBalances,
)
from shared.ports.clock import Clock
from tests.fakes.fake_contract import FIRST_HEIGHT

AUDIT_AMOUNT_MAX = 10**20 - 1
"""What numeric(20,8) holds, in units of 1e-8 FLOW."""


class FakeSolvencyStore:
    """Implements the port `SolvencyStore`.

    `totals` are the ledger's sums; `audit` the findings that got an audit row. `failures` are
    raised by the next calls, in order, of whichever method.
    """

    def __init__(self, clock: Clock) -> None:
        self.totals = LedgerTotals(total=FlowAmount(0), users=0)
        self.audit: list[SolvencyFinding] = []
        self.checks: list[SolvencyCheck] = []
        self.failures: list[ReconcileError] = []
        self.refuses_audit = False
        self.before_totals: Callable[[], None] = lambda: None
        self._clock = clock

    def hold(self, units: int) -> None:
        """The ledger's total is now this."""
        self.totals = replace(self.totals, total=FlowAmount(units), users=1)

    def ledger_totals(self) -> LedgerTotals:
        self._fail()
        self.before_totals()
        return self.totals

    def record(self, finding: SolvencyFinding) -> SolvencyCheck:
        self._fail()
        for check in self.checks:
            if check.check_id == finding.check_id:
                return check
        self._require(finding)
        now = self._clock.now()
        audit_id, code = self._audited(finding) if finding.confirmed else (None, None)
        check = SolvencyCheck(
            check_id=finding.check_id,
            checked_at=now,
            admin_address=finding.admin_address,
            state=finding.state,
            confirmed=finding.confirmed,
            since=self._since(finding, now),
            tolerance=finding.tolerance,
            audit_id=audit_id,
            error_code=code or finding.error_code,
            error="It is kept without an audit row." if code else finding.error,
        )
        if (read := finding.reading) is not None:
            check = replace(
                check,
                block_height=read.block_height,
                ledger_total=read.ledger.total,
                ledger_users=read.ledger.users,
                negative_users=read.ledger.negative_users,
                negative_total=read.ledger.negative_total,
                unusable_users=read.ledger.unusable_users,
                respelled_users=read.ledger.respelled_users,
                vault_balance=read.contract.vault_balance,
                contract_total=read.contract.contract_total,
            )
        self.checks.append(check)
        return check

    def list(self, *, before: UUID | None = None, limit: int = 50) -> list[SolvencyCheck]:
        self._fail()
        if not 1 <= limit <= 1_000:
            raise LedgerInvalidValue("p_limit is out of range", remedy="Pass 1 to 1000.")
        ids = [check.check_id for check in self.checks]
        end = len(ids) if before is None else ids.index(before) if before in ids else 0
        return self.checks[:end][::-1][:limit]

    def _require(self, finding: SolvencyFinding) -> None:
        read = finding.reading
        fits = (
            finding.error_code is not None and finding.state is SolvencyState.UNREADABLE
            if read is None
            else finding.error_code is None
            and (finding.state is SolvencyState.SOLVENT)
            == (read.state(finding.tolerance) is SolvencyState.SOLVENT)
        )
        if not fits or (finding.confirmed and not finding.state.is_mismatch):
            raise LedgerInvalidValue("the check contradicts itself", remedy="Record what it found.")

    def _since(self, finding: SolvencyFinding, now: datetime) -> datetime:
        for check in reversed(self.checks):
            sure = check.state is SolvencyState.SOLVENT or check.confirmed
            if sure or finding.state is SolvencyState.UNREADABLE:
                return check.since if check.state is finding.state else now
        return now

    def _audited(self, finding: SolvencyFinding) -> tuple[str | None, str | None]:
        assert finding.reading is not None
        amounts = (finding.reading.ledger.total, finding.reading.difference)
        if any(abs(units) > AUDIT_AMOUNT_MAX for units in amounts):
            return None, "audit_amount_out_of_range"
        if self.refuses_audit:
            return None, "audit_row_refused"
        self.audit.append(finding)
        return str(len(self.audit)), None

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


class FakeVault:
    """Implements the port `Vault`, and tells heights: every `set` seals a block."""

    def __init__(self) -> None:
        self.height = FIRST_HEIGHT
        self.calls: list[int] = []
        self.failures: list[ReconcileError] = []
        self._history = [(self.height, VaultBalances(vault_balance=_0, contract_total=_0))]

    def set(self, vault_balance: int, contract_total: int | None = None) -> None:
        """The vault holds this now; the contract owes the same unless something else is given."""
        self.height += 1
        total = vault_balance if contract_total is None else contract_total
        balances = VaultBalances(
            vault_balance=FlowAmount(vault_balance), contract_total=FlowAmount(total)
        )
        self._history.append((self.height, balances))

    def latest_height(self, *, at_least: int = 0) -> int:
        if self.height < at_least:
            raise ContractHeightUnavailable(f"no block {at_least}", remedy="Try again.")
        return self.height

    def balances_at(self, block_height: int) -> VaultBalances:
        self.calls.append(block_height)
        if self.failures:
            raise self.failures.pop(0)
        return next(each for at, each in reversed(self._history) if at <= block_height)


class FakeAlerter:
    """Remembers what it was told to watch; `open` has what holds now."""

    def __init__(self) -> None:
        self.told: list[tuple[AlertKind, Alert | None]] = []
        self.open: dict[AlertKind, Alert] = {}

    def observe(
        self,
        kind: AlertKind,
        alert: Alert | None,
        *,
        run_id: UUID | None = None,
    ) -> None:
        self.told.append((kind, alert))
        if alert is None:
            self.open.pop(kind, None)
        else:
            self.open[kind] = alert


_0 = FlowAmount(0)
