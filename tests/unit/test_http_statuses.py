"""Every error code of the tree has a status that was meant for it."""

from collections.abc import Iterator

import pytest

from shared.core import errors
from shared.core.errors import ReconcileError
from shared.http.statuses import problem_of


def _tree(root: type[ReconcileError]) -> Iterator[type[ReconcileError]]:
    yield root
    for each in root.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _tree(each)


@pytest.mark.parametrize("error", list(_tree(ReconcileError)), ids=lambda error: error.__name__)
def test_a_problem_is_retryable_when_its_error_is(error: type[ReconcileError]) -> None:
    problem = problem_of(error.code, "Fault. Remedy.")
    assert problem.retryable is error.retryable
    upstream_may_recover = error.retryable and error is not errors.RunActive
    assert (problem.status in (503, 504)) is (
        upstream_may_recover or error is errors.InvalidSettings
    )


@pytest.mark.parametrize(
    ("code", "status", "retryable"),
    [
        ("run_active", 409, True),
        ("run_not_applicable", 409, False),
        ("run_not_found", 404, False),
        ("queue_error", 503, True),
        ("chunk_gave_up", 502, False),
    ],
)
def test_what_is_wrong_with_a_run_has_a_status_of_its_own(
    code: str, status: int, retryable: bool
) -> None:
    problem = problem_of(code, "Fault. Remedy.")
    assert (problem.status, problem.code, problem.retryable) == (status, code, retryable)
    assert problem.detail == "Fault. Remedy."


@pytest.mark.parametrize("code", ["stale_height", "changed_meanwhile"])
def test_a_refusal_that_a_retry_mends_is_retryable(code: str) -> None:
    refused = errors.LedgerRefused("fault", remedy="Remedy.", code=code)
    problem = problem_of(refused.code, str(refused))
    assert (problem.status, problem.retryable) == (503, refused.retryable)


@pytest.mark.parametrize("code", [None, "", "invalid_", "contract", "sweep_halted", "x"])
def test_any_other_code_is_internal_and_silent(code: str | None) -> None:
    problem = problem_of(code, "a secret")
    assert (problem.status, problem.code) == (500, "internal_error")
    assert "secret" not in problem.detail
