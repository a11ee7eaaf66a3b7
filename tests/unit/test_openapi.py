"""docs/openapi.json says what the functions do, and says it of all of them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from shared.core.amount import FlowAmount
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import RunState
from shared.http.problem import Problem
from shared.http.statuses import problem_of
from tests.unit.runs import STARTED, run
from tools.openapi import answers, document, document_text
from tools.openapi.__main__ import PATH
from tools.openapi.operations import OPERATIONS
from tools.serve.functions import FUNCTIONS

TIMES = {"timestamp", "startedAt", "scannedAt", "finishedAt"}
"""The same moments, in other digits."""
NOT_BY_HTTP = {
    "invalid_message": "of the queue's worker",
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


def error_classes(of: type[ReconcileError] = ReconcileError) -> Iterator[type[ReconcileError]]:
    for each in of.__subclasses__():
        yield each
        yield from error_classes(each)


def test_the_file_is_what_the_code_says() -> None:
    assert PATH.read_text(encoding="utf-8") == document_text(), "run `make openapi`"


def test_every_function_is_described() -> None:
    assert set(document()["paths"]) == {f"/{name}" for name in FUNCTIONS}


@pytest.mark.parametrize(
    ("rendered", "model"),
    [
        (CORRECTED.as_json(), answers.Result),
        (FAILED.as_json(), answers.Result),
        (PLANNING.as_json(), answers.Run),
        (HALTED.as_json(), answers.Run),
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
