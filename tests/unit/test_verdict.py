"""Are we whole? The sentence that a report begins with."""

import pytest

from shared.core.amount import FlowAmount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import Report
from shared.core.review import Halt
from shared.core.run import Run, RunKind, RunState
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.core.verdict import VerdictState, verdict
from tests.unit.reports import check, period_report, result, run_of, run_report, user_report

S = VerdictState
O = Outcome  # noqa: E741
HALT = Halt("most_differ", "2 of 2 users differ", "Check the address.")
SHORT = FlowAmount(1_200_000_000 - 50_000_000)


def state_of(report: Report) -> VerdictState:
    found = verdict(report)
    heads = {S.WHOLE: "Whole: ", S.UNKNOWN: "Not known: ", S.NOT_WHOLE: "Not whole: "}
    assert found.text.startswith(heads[found.state])
    assert found.text.endswith(".")
    return found.state


@pytest.mark.parametrize(
    ("run", "state"),
    [
        (run_of([]), S.WHOLE),
        (run_of([result(1), result(2, O.TRANSIENT)]), S.WHOLE),
        (run_of([], users=0), S.WHOLE),
        (run_of([], kind=RunKind.INCREMENTAL), S.WHOLE),
        (run_of([result(1, O.WOULD_CORRECT)], dry_run=True), S.NOT_WHOLE),
        (run_of([result(1, O.CHANGED_MEANWHILE)]), S.NOT_WHOLE),
        (run_of([result(1, O.HELD)]), S.NOT_WHOLE),
        (run_of([result(1, O.FAILED), result(2, O.HELD)]), S.NOT_WHOLE),
        (run_of([result(1, O.FAILED)]), S.UNKNOWN),
        (run_of([result(1, O.WOULD_CORRECT)], state=RunState.HALTED, halt=HALT), S.UNKNOWN),
        (run_of([], state=RunState.SCANNING), S.UNKNOWN),
        (run_of([], state=RunState.CANCELLED), S.UNKNOWN),
        (run_of([], state=RunState.FAILED), S.UNKNOWN),
    ],
)
def test_a_run_says_whether_the_ledger_agrees(run: Run, state: VerdictState) -> None:
    assert state_of(run_report(run=run)) is state


@pytest.mark.parametrize(
    ("latest", "state", "says"),
    [
        (check(), S.WHOLE, "the vault covers the ledger"),
        (None, S.UNKNOWN, "no solvency check is stored"),
        (check(state=SolvencyState.UNREADABLE), S.UNKNOWN, "could not read both sides"),
        (
            check(state=SolvencyState.DEFICIT, confirmed=True, vault_balance=SHORT),
            S.NOT_WHOLE,
            "the vault holds 0.50000000 FLOW less than the ledger.",
        ),
        (
            check(state=SolvencyState.DEFICIT, vault_balance=SHORT),
            S.UNKNOWN,
            "less than the ledger, not confirmed yet",
        ),
        (
            check(state=SolvencyState.SURPLUS, confirmed=True, ledger_total=SHORT),
            S.NOT_WHOLE,
            "the vault holds 0.50000000 FLOW more than the ledger",
        ),
        (
            check(state=SolvencyState.CONTRACT_MISMATCH, confirmed=True, contract_total=SHORT),
            S.NOT_WHOLE,
            "the contract's total is 0.50000000 FLOW off the ledger's",
        ),
        (
            check(state=SolvencyState.CONTRACT_SHORT, confirmed=True, vault_balance=SHORT),
            S.NOT_WHOLE,
            "the vault holds less than the contract owes its users",
        ),
    ],
)
def test_the_vault_is_part_of_the_answer(
    latest: SolvencyCheck | None, state: VerdictState, says: str
) -> None:
    report = run_report(solvency=latest)
    assert state_of(report) is state
    assert says in verdict(report).text


def test_of_two_answers_the_worse_is_the_answer() -> None:
    differs = run_of([result(1, O.WOULD_CORRECT)])
    assert state_of(run_report(run=differs, solvency=None)) is S.NOT_WHOLE


def test_a_part_of_the_users_is_not_called_all() -> None:
    part = verdict(run_report(run=run_of([], kind=RunKind.INCREMENTAL))).text
    assert "all 7 users that the run looked at agreed with the contract up to block 7" in part


def test_agreement_is_told_of_the_lowest_block_that_somebody_was_read_at() -> None:
    read = run_of([], first_height=40, last_height=90)
    assert "agreed with the contract up to block 40;" in verdict(run_report(run=read)).text


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (run_of([result(1)]), "Not whole: 2 corrections of this run were rolled back since;"),
        (run_of([result(1, O.FAILED)]), "Not whole: 2 corrections of this run were rolled back"),
        (
            run_of([result(1, O.HELD)]),
            "Not whole: 1 of 8 users still differ and 2 corrections of this run were rolled back",
        ),
        (run_of([], state=RunState.CANCELLED), "Not whole: 2 corrections of this run were"),
    ],
)
def test_a_run_that_was_rolled_back_is_not_whole(run: Run, says: str) -> None:
    assert verdict(run_report(run=run, rolled_back=2)).text.startswith(says)
    period = verdict(period_report(runs=(run_of([]), run), rolled_back=2))
    assert period.state is S.NOT_WHOLE
    assert "rolled back since" in period.text


def test_a_period_goes_by_its_last_run() -> None:
    early, late = run_of([result(1, O.HELD)]), run_of([])
    assert state_of(period_report(runs=(early, late))) is S.WHOLE
    assert state_of(period_report(runs=(late, early))) is S.NOT_WHOLE
    assert state_of(period_report(runs=())) is S.UNKNOWN


@pytest.mark.parametrize(
    ("standing", "state", "says"),
    [
        (result(0, O.IN_SYNC), S.WHOLE, "agrees with the contract at height 7"),
        (result(5, O.WOULD_CORRECT), S.NOT_WHOLE, "holds 0.00000005 FLOW more than the ledger"),
        (result(-5, O.WOULD_CORRECT), S.NOT_WHOLE, "holds 0.00000005 FLOW less than the ledger"),
        (result(5, O.HELD), S.NOT_WHOLE, "and the user is held"),
        (result(1, O.FAILED), S.UNKNOWN, "cannot be compared (contract_query_failed)"),
    ],
)
def test_a_user_stands_for_itself(
    standing: ReconciliationResult, state: VerdictState, says: str
) -> None:
    report = user_report(standing=standing)
    assert state_of(report) is state
    assert says in verdict(report).text
