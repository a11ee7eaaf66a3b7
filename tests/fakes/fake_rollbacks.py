"""Rollbacks in memory, with the semantics of supabase/migrations 015 (docs/sql-api.md)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from shared.core.amount import FlowAmount
from shared.core.errors import LedgerInvalidValue, RunNotApplicable
from shared.core.hold import Hold
from shared.core.rollback import Rollback, RollbackOutcome, RollbackPage
from shared.core.run import ACTIVE, RunState
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_holds import require_admin_and_reason
from tests.fakes.fake_ledger import ROWS_MAX, AuditRow, FakeLedger
from tests.fakes.fake_run_store import FakeRunStore
from tests.fakes.faults import Faulty

_UNFINISHED = ACTIVE | {RunState.AWAITING_APPROVAL}


class FakeRollbacks(Faulty):
    """Implements the port `Rollbacks` over the rows, audit log and holds of a fake ledger."""

    def __init__(self, ledger: FakeLedger, store: FakeRunStore, clock: FakeClock) -> None:
        super().__init__(ledger.lock)
        self._ledger = ledger
        self._store = store
        self._clock = clock

    def roll_back(
        self, audit_ids: Sequence[str], admin_address: str, reason: str, *, dry_run: bool
    ) -> list[Rollback]:
        with self._call("roll_back", audit_ids):
            if len(audit_ids) > ROWS_MAX or len(set(audit_ids)) < len(audit_ids):
                raise _invalid("p_audit_ids")
            require_admin_and_reason(admin_address, reason)
            return self._roll_back(audit_ids, admin_address, reason, dry_run=dry_run)

    def roll_back_run(
        self,
        run_id: UUID,
        after: str | None,
        limit: int,
        admin_address: str,
        reason: str,
        *,
        dry_run: bool,
    ) -> RollbackPage:
        corrections = sorted(
            (row for row in self._ledger.audit if row.run_id == run_id and _is_correction(row)),
            key=lambda row: row.user_address,
        )
        later = [row for row in corrections if after is None or row.user_address > after]
        page = later[:limit]
        with self._call("roll_back_run", [row.user_address for row in page]):
            if not 1 <= limit <= ROWS_MAX:
                raise _invalid("p_limit")
            require_admin_and_reason(admin_address, reason)
            run = self._store.get_run(run_id)
            if run.state in _UNFINISHED:
                raise RunNotApplicable(f"run {run_id} is {run.state}", remedy="End it first.")
            ids = [row.id for row in page]
            rollbacks = self._roll_back(ids, admin_address, reason, dry_run=dry_run)
            through = page[-1].user_address if len(page) == limit else None
            return RollbackPage(rollbacks=tuple(rollbacks), through=through)

    def _roll_back(
        self, audit_ids: Sequence[str], admin_address: str, reason: str, *, dry_run: bool
    ) -> list[Rollback]:
        rows = {row.id: row for row in self._ledger.audit}
        judged = {each: self._judged(each, rows.get(each)) for each in audit_ids}
        written: list[Rollback] = []
        for audit_id, rollback in judged.items():
            if rollback.outcome is RollbackOutcome.WOULD_ROLL_BACK and not dry_run:
                rollback = self._write(rollback, rows[audit_id], admin_address, reason)
            written.append(rollback)
        return written

    def _judged(self, audit_id: str, row: AuditRow | None) -> Rollback:
        if row is None:
            return _refused(audit_id, "audit_not_found")
        rollback = Rollback(
            audit_id=audit_id,
            outcome=RollbackOutcome.WOULD_ROLL_BACK,
            user_address=row.user_address,
            old_balance=row.balance_after,
            new_balance=row.balance_before,
        )
        taken_back_by = self._reversing(audit_id)
        if taken_back_by is not None:
            return replace(
                rollback,
                outcome=RollbackOutcome.ALREADY_ROLLED_BACK,
                rollback_audit_id=taken_back_by.id,
            )
        code = self._fault(row)
        return rollback if code is None else _with_code(rollback, code)

    def _fault(self, row: AuditRow) -> str | None:
        if not _is_correction(row):
            return "not_a_correction"
        stored = self._ledger.rows.get(row.user_address)
        if stored is None:
            return "ledger_row_missing"
        if stored.balance != row.balance_after or any(self._later(row)):
            return "changed_meanwhile"
        return None

    def _later(self, row: AuditRow) -> Iterable[AuditRow]:
        """Later corrections of the user that still stand."""
        mine = (each for each in self._ledger.audit if each.user_address == row.user_address)
        newer = (each for each in mine if int(each.id) > int(row.id) and _is_correction(each))
        return (each for each in newer if self._reversing(each.id) is None)

    def _write(
        self, rollback: Rollback, row: AuditRow, admin_address: str, reason: str
    ) -> Rollback:
        ledger, key = self._ledger, row.user_address
        ledger._check(key, row.balance_before)
        ledger.rows[key] = replace(ledger.rows[key], balance=row.balance_before)
        audit = AuditRow(
            id=str(len(ledger.audit) + 1),
            user_address=key,
            operation_type="reconciliation_rollback",
            amount=FlowAmount(row.balance_before - row.balance_after),
            balance_before=row.balance_after,
            balance_after=row.balance_before,
            transaction_hash=f"rollback_by_{admin_address}",
            run_id=None,
            block_height=None,
            reason=reason,
            reverses_audit_id=row.id,
        )
        ledger.audit.append(audit)
        if ledger.hold_of(key) is None:
            hold = Hold(
                user_address=key,
                held_at=self._clock.now(),
                held_by=admin_address,
                reason=reason,
                audit_id=audit.id,
            )
            ledger.holds.append(hold)
        return replace(rollback, outcome=RollbackOutcome.ROLLED_BACK, rollback_audit_id=audit.id)

    def _reversing(self, audit_id: str) -> AuditRow | None:
        rows = (row for row in self._ledger.audit if row.reverses_audit_id == audit_id)
        return next(rows, None)

    def _begin(self) -> Callable[[], None]:
        return self._ledger._begin()


def _is_correction(row: AuditRow) -> bool:
    return row.operation_type == "reconciliation" and bool(row.amount)


def _refused(audit_id: str, code: str) -> Rollback:
    return Rollback(audit_id=audit_id, outcome=RollbackOutcome.REFUSED, code=code)


def _with_code(rollback: Rollback, code: str) -> Rollback:
    return replace(rollback, outcome=RollbackOutcome.REFUSED, code=code)


def _invalid(what: str) -> LedgerInvalidValue:
    return LedgerInvalidValue(f"the database refuses a value ({what})", remedy="Nothing changed.")
