"""What a run that has ended says: at most one condition, by amount and share."""

from typing import Any
from uuid import uuid4

import pytest

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.amount import FlowAmount
from shared.core.outcome import Outcome
from shared.core.review import Halt
from shared.core.run import PhaseTally, RunKind, RunState
from shared.core.run_alert import AlertLimits, Drift, EndedRun, observations_of
from tests.unit.runs import RUN_ID, run

O = Outcome  # noqa: E741
K = AlertKind
FLOW = 100_000_000
ALICE, BOB = "0x0000000000000101", "0x0000000000000102"
DRIFT = Drift(
    users=3,
    surplus=FlowAmount(12 * FLOW + 1),
    deficit=FlowAmount(-FLOW),
    largest=((ALICE, FlowAmount(12 * FLOW + 1)), (BOB, FlowAmount(-FLOW))),
)
QUIET = {"outcomes": {O.IN_SYNC: 1_000}, "users": 1_000, "candidates": 0}


def ended(drift: Drift = DRIFT, **changes: Any) -> EndedRun:
    """A finished run over 1,000 users, of whom 3 were corrected, with some fields replaced."""
    fields = {"users": 1_000, "outcomes": {O.IN_SYNC: 997, O.CORRECTED: 3}, "candidates": 3}
    return EndedRun(run=run(**{**fields, **changes}), drift=drift)


def held(each: EndedRun, limits: AlertLimits | None = None) -> Alert | None:
    """The one condition that holds by this run, or None."""
    alerts = [alert for alert in observations_of(each, limits or AlertLimits()).values() if alert]
    assert len(alerts) <= 1
    return alerts[0] if alerts else None


def test_a_run_that_corrected_says_how_much_of_whom_and_what_to_do() -> None:
    alert = held(ended())
    assert alert is not None
    assert alert.kind is K.RUN_DISCREPANCIES
    assert alert.severity is Severity.WARNING
    assert alert.summary == "The ledger was off by 13.00000001 FLOW: 3 users corrected."
    assert "Look for the cause" in alert.remedy
    assert dict(alert.facts) == {
        "Users looked at": "1,000",
        "Corrected": "3",
        "Share": "0.30 % of the users",
        "Ledger too low by": "12.00000001 FLOW",
        "Ledger too high by": "1.00000000 FLOW",
        "Largest": f"{ALICE} 12.00000001, {BOB} -1.00000000",
        "Block": "9",
        "Who": "ADMIN",
    }


def test_a_run_that_finished_ends_what_halted_or_failed() -> None:
    seen = observations_of(ended(), AlertLimits())
    assert set(seen) == {K.RUN_DISCREPANCIES, K.RUN_HALTED, K.RUN_FAILED}
    assert (seen[K.RUN_HALTED], seen[K.RUN_FAILED]) == (None, None)


@pytest.mark.parametrize("kind", [RunKind.FULL, RunKind.INCREMENTAL])
def test_a_run_that_found_everyone_in_sync_ends_the_discrepancies(kind: RunKind) -> None:
    seen = observations_of(ended(Drift(), kind=kind, **QUIET), AlertLimits())
    assert seen == {K.RUN_HALTED: None, K.RUN_FAILED: None, K.RUN_DISCREPANCIES: None}


def test_a_plan_that_had_nobody_to_correct_says_nothing_of_the_others() -> None:
    seen = observations_of(ended(Drift(), kind=RunKind.PLAN, **QUIET), AlertLimits())
    assert seen == {K.RUN_HALTED: None, K.RUN_FAILED: None}
    applied = held(ended(kind=RunKind.PLAN))
    assert applied is not None
    assert applied.kind is K.RUN_DISCREPANCIES


def test_who_agreed_on_the_second_look_and_who_is_held_are_no_news() -> None:
    outcomes = {O.IN_SYNC: 990, O.TRANSIENT: 6, O.HELD: 4}
    assert held(ended(Drift(), outcomes=outcomes)) is None


def test_corrected_drift_below_the_limit_is_not_told() -> None:
    limits = AlertLimits(min_flow=FlowAmount(13 * FLOW + 2))
    assert observations_of(ended(), limits)[K.RUN_DISCREPANCIES] is None
    assert held(ended(), AlertLimits(min_flow=FlowAmount(13 * FLOW + 1))) is not None


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (O.CHANGED_MEANWHILE, "2 users not corrected"),
        (O.FAILED, "2 users not read or not written"),
    ],
)
def test_who_is_left_is_told_however_little_it_is(outcome: Outcome, told: str) -> None:
    limits = AlertLimits(min_flow=FlowAmount(1_000 * FLOW))
    alert = held(ended(outcomes={O.IN_SYNC: 998, outcome: 2}), limits)
    assert alert is not None
    assert told in alert.summary
    assert "reconcile runs show" in alert.remedy


def test_users_who_failed_with_no_drift_known_are_not_told_as_an_amount() -> None:
    alert = held(ended(Drift(), outcomes={O.IN_SYNC: 999, O.FAILED: 1}))
    assert alert is not None
    assert alert.summary == "A run could not settle everyone: 1 user not read or not written."


def test_what_was_corrected_is_news_each_time_and_what_is_left_once() -> None:
    def state(**changes: Any) -> str:
        alert = held(ended(run_id=uuid4(), **changes))
        assert alert is not None
        return alert.state

    assert state() != state()
    left = {"outcomes": {O.IN_SYNC: 995, O.FAILED: 5}}
    assert state(**left) == state(**left)
    assert state(**left) != state(outcomes={O.IN_SYNC: 994, O.FAILED: 6})


@pytest.mark.parametrize(
    ("drift", "users", "severity"),
    [
        (Drift(users=10, surplus=FlowAmount(1)), 1_000, Severity.WARNING),
        (Drift(users=11, surplus=FlowAmount(1)), 1_000, Severity.CRITICAL),
        (Drift(users=50, surplus=FlowAmount(1)), 99, Severity.WARNING),
        (Drift(users=1, surplus=FlowAmount(100 * FLOW - 1)), 1_000, Severity.WARNING),
        (Drift(users=1, surplus=FlowAmount(100 * FLOW)), 1_000, Severity.CRITICAL),
        (Drift(users=2, surplus=FlowAmount(50 * FLOW), deficit=FlowAmount(-50 * FLOW)), 1_000,
         Severity.CRITICAL),
    ],
)  # fmt: skip
def test_it_is_critical_by_amount_or_by_share(drift: Drift, users: int, severity: Severity) -> None:
    alert = held(ended(drift, users=users))
    assert alert is not None
    assert alert.severity is severity


def test_a_halted_run_is_critical_and_says_how_to_go_on() -> None:
    halt = Halt("most_differ", "60 of 100 users differ", "Check the address.")
    each = ended(state=RunState.HALTED, halt=halt, outcomes={O.WOULD_CORRECT: 60, O.IN_SYNC: 40})
    seen = observations_of(each, AlertLimits())
    assert set(seen) == {K.RUN_HALTED}
    alert = seen[K.RUN_HALTED]
    assert alert is not None
    assert (alert.severity, alert.state) == (Severity.CRITICAL, "most_differ")
    assert "60 of 100 users differ" in alert.summary
    assert alert.remedy == "Check the address."


def test_a_failed_run_says_why_and_what_it_had_done() -> None:
    failed: dict[str, Any] = {
        "state": RunState.FAILED,
        "error_code": "contract_unreachable",
        "error": "the node is down. Wait.",
    }
    seen = observations_of(ended(**failed), AlertLimits())
    assert set(seen) == {K.RUN_FAILED}
    alert = seen[K.RUN_FAILED]
    assert alert is not None
    assert "(contract_unreachable); 3 users corrected before that" in alert.summary
    assert alert.facts["Error"] == "the node is down. Wait."
    nothing = held(ended(Drift(), outcomes={}, users=0, **failed))
    assert nothing is not None
    assert "nothing was written" in nothing.summary
    assert nothing.state == "contract_unreachable, drift 0.00000000"


def test_chunks_that_were_given_up_are_one_message_with_all_else() -> None:
    each = ended(
        scan=PhaseTally(done=9, failed=1),
        outcomes={O.IN_SYNC: 897, O.CORRECTED: 3, O.FAILED: 100},
    )
    seen = observations_of(each, AlertLimits())
    assert set(seen) == {K.RUN_HALTED, K.RUN_FAILED}
    alert = seen[K.RUN_FAILED]
    assert alert is not None
    assert alert.summary == (
        "A run gave up 1 chunk after repeated failures; 100 users not reconciled."
    )
    assert (alert.facts["Corrected"], alert.facts["Failed"]) == ("3", "100")
    assert alert.state == f"run {RUN_ID}"


def test_a_run_that_a_person_ended_is_no_alarm() -> None:
    assert observations_of(ended(state=RunState.CANCELLED), AlertLimits()) == {}
    by_error = ended(state=RunState.CANCELLED, error_code="ledger_timeout", error="Slow. Wait.")
    assert set(observations_of(by_error, AlertLimits())) == {K.RUN_FAILED}
    declined = ended(state=RunState.DECLINED, outcomes={O.IN_SYNC: 997, O.WOULD_CORRECT: 3})
    alert = held(declined)
    assert alert is not None
    assert (alert.kind, "3 users not corrected" in alert.summary) == (K.RUN_DISCREPANCIES, True)
