"""Stored runs for tests."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.core.amount import FlowAmount
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import PhaseTally, Run, RunKind, RunState

STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN_ID = UUID("c8c5973a-eae8-4596-a202-8467d6781e2a")

_RUN = {
    "run_id": RUN_ID,
    "kind": RunKind.FULL,
    "state": RunState.FINISHED,
    "dry_run": False,
    "admin_address": "ADMIN",
    "policy": Policy(),
    "started_at": STARTED,
    "scanned_at": STARTED + timedelta(seconds=1),
    "finished_at": STARTED + timedelta(seconds=1.5),
    "users": 10,
    "outcomes": {Outcome.IN_SYNC: 7, Outcome.CORRECTED: 1, Outcome.CHANGED_MEANWHILE: 2},
    "candidates": 3,
    "surplus": FlowAmount(150_000_000),
    "deficit": FlowAmount(-3),
    "first_height": 7,
    "last_height": 9,
    "script_calls": 4,
    "scan": PhaseTally(done=2),
    "correct": PhaseTally(done=1),
}


def run(**changes: object) -> Run:
    """A finished run over 10 users, one of them corrected, with some fields replaced."""
    return Run(**{**_RUN, **changes})  # type: ignore[arg-type]
