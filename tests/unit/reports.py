"""Reports for tests."""

from collections.abc import Sequence
from datetime import timedelta

from shared.core.amount import FlowAmount
from shared.core.audit_row import AuditRow, AuditTotal
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import PeriodReport, RunReport, UserReport
from shared.core.run import Run
from shared.core.solvency import SolvencyCheck, SolvencyState
from tests.unit.runs import RUN_ID, STARTED, run
from tests.unit.users import user

MADE = STARTED + timedelta(hours=1)


class NoChecks:
    """Nobody has checked solvency yet."""

    def latest(self) -> SolvencyCheck | None:
        return None


def check(**changes: object) -> SolvencyCheck:
    """A solvency check that found 12 FLOW on all sides, with some fields replaced."""
    twelve = FlowAmount(1_200_000_000)
    fields: dict[str, object] = {
        "check_id": RUN_ID,
        "checked_at": STARTED,
        "admin_address": "SYSTEM",
        "state": SolvencyState.SOLVENT,
        "confirmed": False,
        "since": STARTED,
        "tolerance": FlowAmount(1),
        "block_height": 9,
        "ledger_total": twelve,
        "ledger_users": 10,
        "vault_balance": twelve,
        "contract_total": twelve,
    }
    return SolvencyCheck(**{**fields, **changes})  # type: ignore[arg-type]


def result(
    number: int, outcome: Outcome = Outcome.CORRECTED, **changes: object
) -> ReconciliationResult:
    """The user of this number, whose ledger is `number` units below the contract."""
    old, new = FlowAmount(5), FlowAmount(5 + number)
    made = ReconciliationResult(
        user_address=user(number),
        outcome=outcome,
        timestamp=STARTED,
        old_balance=old,
        new_balance=new,
        discrepancy=FlowAmount(new - old),
        block_height=7,
        scan_height=6,
        audit_id=str(number) if outcome is Outcome.CORRECTED else None,
    )
    if outcome is Outcome.FAILED:
        made = made.having(
            new_balance=None,
            discrepancy=None,
            block_height=None,
            error_code="contract_query_failed",
            error="The script panicked. Ask the contract's owner.",
        )
    return made.having(**changes)


def run_of(results: Sequence[ReconciliationResult], **changes: object) -> Run:
    """A finished run that found these, and seven more who are in sync."""
    outcomes = {Outcome.IN_SYNC: 7}
    for each in results:
        outcomes[each.outcome] = outcomes.get(each.outcome, 0) + 1
    sums = [each.discrepancy or 0 for each in results]
    fields: dict[str, object] = {
        "users": 7 + len(results),
        "outcomes": outcomes,
        "candidates": sum(each.discrepancy is not None for each in results),
        "surplus": FlowAmount(sum(size for size in sums if size > 0)),
        "deficit": FlowAmount(sum(size for size in sums if size < 0)),
    }
    return run(**{**fields, **changes})


def run_report(*results: ReconciliationResult, **changes: object) -> RunReport:
    """A report of a run with these results, and a solvent vault."""
    fields: dict[str, object] = {
        "made_at": MADE,
        "made_by": "alice",
        "run": run_of(results),
        "rows": results,
        "solvency": check(),
    }
    return RunReport(**{**fields, **changes})  # type: ignore[arg-type]


def period_report(*rows: AuditRow, **changes: object) -> PeriodReport:
    """A report of a day with these audit rows, one run and a solvent vault."""
    fields: dict[str, object] = {
        "made_at": MADE,
        "made_by": "alice",
        "since": STARTED.replace(hour=0, minute=0, second=0),
        "until": STARTED.replace(hour=0, minute=0, second=0) + timedelta(days=1),
        "runs": (run(),),
        "totals": (
            AuditTotal(
                operation_type="deposit",
                rows=3,
                increase=FlowAmount(700_000_000),
                decrease=FlowAmount(-200_000_000),
            ),
        ),
        "rows": rows,
        "solvency": check(),
    }
    return PeriodReport(**{**fields, **changes})  # type: ignore[arg-type]


def user_report(*rows: AuditRow, **changes: object) -> UserReport:
    """A report of a user who is in sync, with these audit rows."""
    fields: dict[str, object] = {
        "made_at": MADE,
        "made_by": "alice",
        "user_address": user(1),
        "standing": result(
            1, Outcome.IN_SYNC, new_balance=FlowAmount(5), discrepancy=FlowAmount(0)
        ),
        "rows": rows,
    }
    return UserReport(**{**fields, **changes})  # type: ignore[arg-type]
