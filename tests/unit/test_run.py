import json
from uuid import UUID

import pytest

from shared.core.outcome import Outcome
from shared.core.review import Halt
from shared.core.run import PhaseTally, RunKind, RunState
from tests.unit.runs import RUN_ID, run

PLAN_ID = UUID("00000000-0000-4000-8000-000000000001")


def test_sums_counts_of_several_outcomes() -> None:
    assert run().count(Outcome.CORRECTED, Outcome.IN_SYNC, Outcome.FAILED) == 8
    assert run().unresolved == 2


def test_a_candidate_is_decided_once_it_is_no_longer_only_to_be_corrected() -> None:
    outcomes = {Outcome.WOULD_CORRECT: 2, Outcome.CORRECTED: 3, Outcome.FAILED: 4}
    assert run(candidates=6, outcomes=outcomes).decided == 4


@pytest.mark.parametrize("state", RunState)
def test_only_a_finished_run_is_complete(state: RunState) -> None:
    assert run(state=state).complete is (state is RunState.FINISHED)


@pytest.mark.parametrize("state", RunState)
def test_a_run_is_active_while_workers_have_something_to_do(state: RunState) -> None:
    assert run(state=state).is_active is (state in ("planning", "scanning", "correcting"))


def test_a_run_that_goes_on_has_no_duration_yet() -> None:
    assert run().duration_s == 1.5
    assert run(finished_at=None).duration_s is None
    assert run(finished_at=None).as_json()["durationS"] is None


@pytest.mark.parametrize(
    ("users", "unread", "percent"),
    [
        (0, 0, 100.0),
        (10, 0, 100.0),
        (10, 10, 0.0),
        (8, 1, 87.5),
        (3, 1, 66.6666),
        (100_000_000, 1, 99.9999),
    ],
)
def test_coverage_is_100_percent_only_when_nobody_is_missing(
    users: int, unread: int, percent: float
) -> None:
    assert run(users=users, unread=unread).coverage_percent == percent


def test_what_the_review_judges_adds_up() -> None:
    outcomes = {Outcome.IN_SYNC: 5, Outcome.WOULD_CORRECT: 3, Outcome.HELD: 4, Outcome.FAILED: 2}
    counts = run(
        users=14, outcomes=outcomes, candidates=3, unread=2, funded=5, funded_reading_zero=1
    ).scan_counts()
    assert (counts.in_sync, counts.differing, counts.unread) == (5, 3, 2)
    assert counts.users == 10, "of those who are held nothing will be written"
    assert (counts.funded, counts.funded_reading_zero) == (5, 1)


def test_a_run_is_camel_case_json_with_every_outcome() -> None:
    assert json.loads(json.dumps(run(scan=PhaseTally(done=2, failed=1)).as_json())) == {
        "runId": str(RUN_ID),
        "kind": "full",
        "state": "finished",
        "dryRun": False,
        "adminAddress": "ADMIN",
        "startedAt": "2026-01-02T03:04:05.000Z",
        "scannedAt": "2026-01-02T03:04:06.000Z",
        "finishedAt": "2026-01-02T03:04:06.500Z",
        "durationS": 1.5,
        "users": 10,
        "outcomes": {
            "in_sync": 7,
            "corrected": 1,
            "would_correct": 0,
            "transient": 0,
            "changed_meanwhile": 2,
            "held": 0,
            "failed": 0,
        },
        "coveragePercent": 100.0,
        "surplus": "1.50000000",
        "deficit": "-0.00000003",
        "firstHeight": 7,
        "lastHeight": 9,
        "scriptCalls": 4,
        "chunks": {
            "scan": {"pending": 0, "leased": 0, "done": 2, "failed": 1},
            "correct": {"pending": 0, "leased": 0, "done": 1, "failed": 0},
        },
        "complete": True,
        "halt": None,
        "acceptedHalt": None,
        "planRunId": None,
        "fromHeight": None,
        "coveredHeight": None,
        "fallbackReason": None,
        "error": None,
        "errorCode": None,
    }


def test_the_json_tells_of_a_halt_and_who_accepted_it() -> None:
    halted = run(
        kind=RunKind.PLAN,
        halt=Halt("most_differ", "why", "How."),
        accepted_halt="moved to a new contract",
        plan_run_id=PLAN_ID,
    )
    body = halted.as_json()
    assert body["halt"] == {"reason": "most_differ", "detail": "why. How."}
    assert body["acceptedHalt"] == "moved to a new contract"
    assert (body["kind"], body["planRunId"]) == ("plan", str(PLAN_ID))


def test_the_json_tells_of_an_incremental_run_and_an_error() -> None:
    failed = run(
        state=RunState.FAILED,
        kind=RunKind.INCREMENTAL,
        from_height=5,
        covered_height=9,
        error="down. Wait.",
        error_code="ledger_unreachable",
    )
    body = failed.as_json()
    assert (body["state"], body["complete"]) == ("failed", False)
    assert (body["fromHeight"], body["coveredHeight"]) == (5, 9)
    assert (body["error"], body["errorCode"]) == ("down. Wait.", "ledger_unreachable")
