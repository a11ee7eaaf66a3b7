import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.core.amount import FlowAmount
from shared.core.errors import LedgerUnreachable
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.sweep_result import SweepResult, SweepSummary, count_outcomes

NOW = datetime(2026, 1, 2, tzinfo=UTC)
SUMMARY = SweepSummary(
    run_id="r",
    dry_run=False,
    admin_address="ADMIN",
    started_at=NOW,
    finished_at=NOW + timedelta(seconds=1.5),
    users=10,
    outcomes={Outcome.IN_SYNC: 7, Outcome.CORRECTED: 1, Outcome.CHANGED_MEANWHILE: 2},
    surplus=FlowAmount(5),
    deficit=FlowAmount(-3),
    first_height=1,
    last_height=2,
)


def result(outcome: Outcome, key: str = "a") -> ReconciliationResult:
    return ReconciliationResult(user_address=key, outcome=outcome, timestamp=NOW)


def test_counts_outcomes_with_those_in_sync() -> None:
    results = [result(Outcome.CORRECTED), result(Outcome.CORRECTED), result(Outcome.FAILED)]
    counts = count_outcomes(4, results)
    assert counts == {Outcome.IN_SYNC: 4, Outcome.CORRECTED: 2, Outcome.FAILED: 1}


def test_nobody_is_counted_in_an_empty_run() -> None:
    assert count_outcomes(0, []) == {}


def test_sums_counts_of_several_outcomes() -> None:
    assert SUMMARY.count(Outcome.CORRECTED, Outcome.IN_SYNC, Outcome.FAILED) == 8
    assert SUMMARY.unresolved == 2
    assert SUMMARY.duration_s == 1.5


def test_a_halted_interrupted_or_failed_run_is_not_complete() -> None:
    assert SUMMARY.complete
    assert not replace(SUMMARY, halt=Halt("most_differ", "why", "how")).complete
    assert not replace(SUMMARY, interrupted=True).complete
    assert not replace(SUMMARY, error=LedgerUnreachable("down", remedy="Wait.")).complete


def test_the_summary_is_json_with_every_outcome() -> None:
    body = json.loads(json.dumps(SUMMARY.as_json()))
    assert set(body["outcomes"]) == {str(outcome) for outcome in Outcome}
    assert sum(body["outcomes"].values()) == body["users"]
    assert (body["surplus"], body["deficit"]) == ("0.00000005", "-0.00000003")
    assert (body["complete"], body["halt"], body["error"]) == (True, None, None)
    assert body["durationS"] == 1.5


def test_the_summary_tells_of_a_halt_and_an_error() -> None:
    stopped = replace(
        SUMMARY,
        halt=Halt("most_differ", "why", "How."),
        error=LedgerUnreachable("down", remedy="Wait."),
    )
    body = stopped.as_json()
    assert body["halt"] == {"reason": "most_differ", "detail": "why. How."}
    assert (body["error"], body["errorCode"]) == ("down. Wait.", "ledger_unreachable")


def test_a_sweep_result_is_a_sequence_of_results() -> None:
    first, second = result(Outcome.CORRECTED, "a"), result(Outcome.FAILED, "b")
    sweep = SweepResult(SUMMARY, (first, second))
    assert list(sweep) == [first, second]
    assert (len(sweep), sweep[1], sweep[:1]) == (2, second, (first,))
