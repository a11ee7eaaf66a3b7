"""docs/openapi.json says what the functions do, and says it of all of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from shared.core.amount import SMALLEST, FlowAmount
from shared.core.errors import ReconcileError
from shared.core.hold import Hold, HoldChange, HoldOutcome
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.rollback import Rollback, RollbackOutcome, RunRollback
from shared.core.run import RunState
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.http.problem import Problem
from shared.http.statuses import problem_of
from tests.unit.runs import STARTED, run
from tools.openapi import answers, document, document_text
from tools.openapi.__main__ import PATH
from tools.openapi.operations import OPERATIONS
from tools.serve.functions import FUNCTIONS

TIMES = {"timestamp", "startedAt", "scannedAt", "finishedAt", "checkedAt", "since", "hold"}
"""The same moments, in other digits."""
DASHBOARD = "/dashboard"
"""Pages for people, and nothing to be called by programs."""
NOT_BY_HTTP = {
    "sign_in_refused": "of the dashboard",
    "sign_in_unreachable": "of the dashboard",
    "invalid_message": "of the queue's worker",
    "alert_not_delivered": "kept with the message",
    "users_unsettled": "of the queue's worker",
    "event_gap_too_large": "makes a sweep a full one",
    "sweep_halted": "of the command; by HTTP a halted run is an answer",
    "unauthorized": "of the door",
}
PLANNING = run(
    state=RunState.PLANNING,
    scanned_at=None,
    finished_at=None,
    first_height=None,
    last_height=None,
)
HALTED = run(
    state=RunState.HALTED,
    plan_run_id=UUID(int=2),
    halt=Halt("most_users_differ", "Most users differ", "Look at them"),
    error="It failed.",
    error_code="chunk_gave_up",
)
FAILED = ReconciliationResult(
    user_address="0x0000000000000001",
    outcome=Outcome.FAILED,
    timestamp=STARTED,
    error="It failed.",
    error_code="contract_timeout",
)
CORRECTED = replace(
    FAILED,
    outcome=Outcome.CORRECTED,
    old_balance=FlowAmount(2**64 - 1),
    new_balance=FlowAmount(0),
    discrepancy=FlowAmount(1 - 2**64),
    block_height=7,
    scan_height=6,
    audit_id="9",
    error=None,
    error_code=None,
)
UNREADABLE = SolvencyCheck(
    check_id=UUID(int=3),
    checked_at=STARTED,
    admin_address="ADMIN",
    state=SolvencyState.UNREADABLE,
    confirmed=False,
    since=STARTED,
    tolerance=SMALLEST,
    error_code="contract_timeout",
    error="It failed.",
)
DEFICIT = replace(
    UNREADABLE,
    state=SolvencyState.DEFICIT,
    confirmed=True,
    block_height=7,
    ledger_total=FlowAmount(10**30),
    ledger_users=3,
    negative_users=1,
    negative_total=FlowAmount(-1),
    unusable_users=0,
    respelled_users=None,
    vault_balance=FlowAmount(2**64 - 1),
    contract_total=FlowAmount(0),
    audit_id="9",
    error_code=None,
    error=None,
)

ROLLED_BACK = Rollback(
    audit_id="9",
    outcome=RollbackOutcome.ROLLED_BACK,
    user_address="0x0000000000000001",
    old_balance=FlowAmount(0),
    new_balance=FlowAmount(2**64 - 1),
    rollback_audit_id="10",
)
REFUSED = Rollback(audit_id="x", outcome=RollbackOutcome.REFUSED, code="audit_not_found")
RUN_ROLLBACK = RunRollback(run_id=UUID(int=4), dry_run=False, through="0x0000000000000001")
RUN_ROLLBACK.take([ROLLED_BACK, REFUSED])
HELD = HoldChange(
    user_address="0x0000000000000001",
    outcome=HoldOutcome.RELEASED,
    hold=Hold(
        user_address="0x0000000000000001",
        held_at=STARTED,
        held_by="alice",
        reason="why",
        audit_id="10",
        released_at=STARTED,
        released_by="bob",
    ),
)


def error_classes(of: type[ReconcileError] = ReconcileError) -> Iterator[type[ReconcileError]]:
    for each in of.__subclasses__():
        yield each
        yield from error_classes(each)


def test_the_file_is_what_the_code_says() -> None:
    assert PATH.read_text(encoding="utf-8") == document_text(), "run `make openapi`"


def test_every_function_is_described() -> None:
    assert set(document()["paths"]) == {f"/{name}" for name in FUNCTIONS} - {DASHBOARD}


@pytest.mark.parametrize(
    ("rendered", "model"),
    [
        (CORRECTED.as_json(), answers.Result),
        (FAILED.as_json(), answers.Result),
        (PLANNING.as_json(), answers.Run),
        (HALTED.as_json(), answers.Run),
        (ROLLED_BACK.as_json(), answers.Rollback),
        (REFUSED.as_json(), answers.Rollback),
        (RUN_ROLLBACK.as_json(), answers.RunRollback),
        (HELD.as_json(), answers.HoldChange),
        (DEFICIT.as_json(), answers.SolvencyCheck),
        (UNREADABLE.as_json(), answers.SolvencyCheck),
        (json.loads(Problem(503, "x", "y", retryable=True).response().get_data()), answers.Problem),
    ],
)
def test_the_models_are_what_the_functions_render(
    rendered: dict[str, Any], model: type[BaseModel]
) -> None:
    again = model.model_validate_json(json.dumps(rendered)).model_dump(mode="json", by_alias=True)
    assert again.keys() >= rendered.keys()
    assert all(again[name] == rendered[name] for name in rendered.keys() - TIMES)


def test_every_error_is_described_with_its_status() -> None:
    documented = {
        (problem.code, problem.status) for each in OPERATIONS for problem in each.problems
    }
    for each in error_classes():
        if each.code not in NOT_BY_HTTP:
            problem = problem_of(each.code, None)
            assert (problem.code, problem.status) in documented, each


def test_a_code_has_one_status_in_an_operation() -> None:
    for operation in OPERATIONS:
        codes = [problem.code for problem in operation.problems]
        assert len(codes) == len(set(codes)), operation


def test_a_code_that_a_key_brings_in_is_nowhere_else() -> None:
    for path in document()["paths"].values():
        for operation in path.values():
            names = [each.get("$ref", "") for each in operation.get("parameters", ())]
            takes_key = any(name.endswith("/Idempotency-Key") for name in names)
            assert takes_key == ("idempotency_key_reused" in json.dumps(operation))
