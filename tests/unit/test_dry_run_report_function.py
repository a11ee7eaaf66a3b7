"""GET dry_run_report, through functions-framework, over a fake sweeper."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.amount import FlowAmount
from shared.core.errors import ContractUnreachable, ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.sweep_result import SweepResult, SweepSummary
from tests.unit.serving import KEY, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "dry_run_report.py"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUN_ID = "c8c5973a-eae8-4596-a202-8467d6781e2a"


def found(users: int = 2, halt: Halt | None = None) -> SweepResult:
    results = tuple(
        ReconciliationResult(
            user_address=f"0x{number:016x}",
            outcome=Outcome.WOULD_CORRECT,
            timestamp=NOW,
            old_balance=FlowAmount(2),
            new_balance=FlowAmount(1),
            discrepancy=FlowAmount(-1),
            block_height=7,
        )
        for number in range(users)
    )
    summary = SweepSummary(
        run_id=RUN_ID,
        dry_run=True,
        admin_address="ADMIN",
        started_at=NOW,
        finished_at=NOW,
        users=users,
        outcomes={Outcome.WOULD_CORRECT: users},
        surplus=FlowAmount(0),
        deficit=FlowAmount(-users),
        first_height=7,
        last_height=7,
        halt=halt,
    )
    return SweepResult(summary, results)


class FakeServices:
    """Its own sweeper: refuses to write, answers with `answer` or raises it."""

    def __init__(self) -> None:
        self.sweeper = self
        self.sweeps = 0
        self.answer: SweepResult | Exception = found()

    def sweep(self, admin_address: str, *, dry_run: bool) -> SweepResult:
        assert dry_run
        assert admin_address == "ADMIN"
        self.sweeps += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("dry_run_report", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def get(client: Client, query: str = "", *, method: str = "GET", **headers: str) -> TestResponse:
    return client.open(
        f"/{query}", method=method, headers={"Authorization": f"Bearer {KEY}", **headers}
    )


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    problem: dict[str, Any] = json.loads(response.get_data())
    assert problem["code"] == code
    assert SECRET not in response.get_data(as_text=True)
    return problem


@pytest.mark.parametrize("users", [0, 1, 2, 3_000])
def test_json_has_the_summary_and_every_result(
    client: Client, services: FakeServices, users: int
) -> None:
    sweep = services.answer = found(users)
    response = get(client)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Vary"] == "Accept"
    assert json.loads(response.get_data()) == {
        "summary": sweep.summary.as_json(),
        "results": [each.as_json() for each in sweep],
    }


@pytest.mark.parametrize("users", [0, 2, 3_000])
def test_csv_is_streamed_as_an_attachment(
    client: Client, services: FakeServices, users: int
) -> None:
    services.answer = found(users)
    response = get(client, "?format=csv")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"] == f'attachment; filename="dry-run-{RUN_ID}.csv"'
    assert "Content-Length" not in response.headers
    rows = list(csv.DictReader(io.StringIO(response.get_data(as_text=True), newline="")))
    assert [row["user_address"] for row in rows] == [f"0x{n:016x}" for n in range(users)]


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("", None, "application/json"),
        ("", "*/*", "application/json"),
        ("", "text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("", "application/json", "application/json"),
        ("", "text/csv", "text/csv"),
        ("", "text/*", "text/csv"),
        ("", "application/json;q=0.1, text/csv;q=0.5", "text/csv"),
        ("", "application/json;q=0, */*", "text/csv"),
        ("", "text/csv, */*;q=0.1", "text/csv"),
        ("?format=json", "text/csv", "application/json"),
        ("?format=csv", "application/json", "text/csv"),
        ("?format=csv", "image/png", "text/csv"),
    ],
)
def test_the_format_is_the_parameter_or_the_accept_header(
    client: Client, query: str, accept: str | None, media_type: str
) -> None:
    response = get(client, query, **({"Accept": accept} if accept else {}))
    assert response.status_code == 200
    assert response.mimetype == media_type


@pytest.mark.parametrize(
    "query",
    ["?format=pdf", "?format=", "?format=CSV", "?format=csv&format=csv", "?fmt=csv", "?dry_run=0"],
)
def test_unknown_parameters_are_refused_before_the_sweep(
    client: Client, services: FakeServices, query: str
) -> None:
    assert_problem(get(client, query), 400, "invalid_input")
    assert not services.sweeps


def test_accept_of_something_else_is_refused(client: Client, services: FakeServices) -> None:
    response = get(client, Accept="image/png")
    assert_problem(response, 406, "not_acceptable")
    assert response.headers["Vary"] == "Accept"
    assert not services.sweeps


def test_head_checks_the_request_without_a_sweep(client: Client, services: FakeServices) -> None:
    response = get(client, "?format=csv", method="HEAD")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "Content-Length" not in response.headers
    assert response.get_data() == b""
    assert get(client, "?format=pdf", method="HEAD").status_code == 400
    assert not services.sweeps


def test_a_halt_is_shown(client: Client, services: FakeServices) -> None:
    services.answer = found(halt=Halt("most_differ", "Most differ", "Look."))
    summary = json.loads(get(client).get_data())["summary"]
    assert summary["complete"] is False
    assert summary["halt"] == {"reason": "most_differ", "detail": "Most differ. Look."}


def test_a_failed_scan_is_a_problem(client: Client, services: FakeServices) -> None:
    services.answer = ContractUnreachable("the node is away", remedy="Try again.")
    response = get(client, Accept="text/csv")
    problem = assert_problem(response, 503, "contract_unreachable")
    assert problem["detail"] == "the node is away. Try again."
    assert problem["retryable"] is True
    assert response.headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), ReconcileError(SECRET, remedy=SECRET), KeyError(SECRET)]
)
def test_an_unforeseen_error_says_nothing(
    client: Client,
    services: FakeServices,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    services.answer = error
    assert_problem(get(client), 500, "internal_error")
    assert type(error).__name__ in caplog.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(client: Client, services: FakeServices, method: str) -> None:
    response = get(client, method=method)
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"
    assert not services.sweeps


def test_the_key_is_needed(client: Client, services: FakeServices) -> None:
    response = client.get("/?format=pdf")
    assert_problem(response, 401, "unauthorized")
    assert not services.sweeps


def test_without_a_key_nobody_is_served(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECONCILE_API_KEY")
    assert_problem(get(client), 503, "not_configured")
    assert not services.sweeps
