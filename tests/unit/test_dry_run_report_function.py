"""GET dry_run_report, through functions-framework, over a fake sweeper."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from pypdf import PdfReader
from werkzeug.test import Client, TestResponse

from shared.core.amount import FlowAmount
from shared.core.errors import ContractUnreachable, LedgerUnreachable, ReconcileError, RunActive
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import RunState
from shared.core.sweep_result import SweepResult
from shared.services.reports import Reports
from tests.fakes.fake_audit_reader import FakeAuditReader
from tests.fakes.fake_run_search import FakeRunSearch
from tests.unit.reports import NoChecks
from tests.unit.runs import RUN_ID, STARTED, run
from tests.unit.serving import KEY, NAME, SECRET, served
from tests.unit.worlds import World

SOURCE = Path(__file__).parents[2] / "functions" / "dry_run_report.py"


def found(users: int = 2, **changes: object) -> SweepResult:
    results = tuple(
        ReconciliationResult(
            user_address=f"0x{number:016x}",
            outcome=Outcome.WOULD_CORRECT,
            timestamp=STARTED,
            old_balance=FlowAmount(2),
            new_balance=FlowAmount(1),
            discrepancy=FlowAmount(-1),
            block_height=7,
        )
        for number in range(users)
    )
    fields = {"dry_run": True, "users": users, "outcomes": {Outcome.WOULD_CORRECT: users}}
    return SweepResult(run(**{**fields, **changes}), results)


class Breaking(Sequence[ReconciliationResult]):
    """Stored results of which only the first `good` can be read."""

    def __init__(self, good: int) -> None:
        self._results = found(good).results

    def __len__(self) -> int:
        return len(self._results) + 1

    def __iter__(self) -> Iterator[ReconciliationResult]:
        yield from self._results
        raise LedgerUnreachable("the ledger is away", remedy="Try again.")

    def __getitem__(self, index: object) -> ReconciliationResult:  # type: ignore[override]
        raise AssertionError("results are iterated over")


class FakeServices:
    """Its own sweeper: refuses to write, answers with `answer` or raises it."""

    def __init__(self) -> None:
        self.sweeper = self
        self.sweeps = 0
        self.report_store = None
        self.answer: SweepResult | Exception = found()

    @property
    def reports(self) -> Reports:
        """Those of a world without a solvency check."""
        world = World()
        search = FakeRunSearch(world.store)
        return Reports(
            world.runs,
            world.ledger,
            FakeAuditReader(),
            search,
            users=lambda: world.user_reconciler,
            checks=lambda: NoChecks(),
            clock=world.clock,
        )

    def sweep(self, admin_address: str, *, dry_run: bool) -> SweepResult:
        assert dry_run
        assert admin_address == NAME
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
    # Buffered, so that the response is closed, as a server does.
    return client.open(
        f"/{query}",
        method=method,
        headers={"Authorization": f"Bearer {KEY}", **headers},
        buffered=True,
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


@pytest.mark.parametrize("users", [0, 2, 3_000])
def test_pdf_is_an_attachment_that_lists_everybody(
    client: Client, services: FakeServices, users: int
) -> None:
    services.answer = found(users)
    response = get(client, "?format=pdf")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == f'attachment; filename="dry-run-{RUN_ID}.pdf"'
    text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(response.data)).pages)
    assert [f"0x{n:016x}" for n in range(users)] == re.findall("0x[0-9a-f]{16}", text)
    assert f"by {NAME}" in text


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
        ("?format=pdf", "image/png", "application/pdf"),
        ("", "application/pdf", "application/pdf"),
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
    ["?format=xlsx", "?format=", "?format=CSV", "?format=csv&format=csv", "?fmt=csv", "?dry_run=0"],
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
    assert get(client, "?format=xlsx", method="HEAD").status_code == 400
    assert not services.sweeps


def test_a_run_that_was_stopped_is_shown_as_such(client: Client, services: FakeServices) -> None:
    services.answer = found(state=RunState.CANCELLED)
    summary = json.loads(get(client).get_data())["summary"]
    assert (summary["state"], summary["complete"]) == ("cancelled", False)


def test_another_active_run_is_a_conflict(client: Client, services: FakeServices) -> None:
    services.answer = RunActive("run x is not finished", remedy="Wait for it.")
    assert assert_problem(get(client), 409, "run_active")["retryable"] is True


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_results_that_cannot_be_read_are_a_problem(
    client: Client, services: FakeServices, query: str
) -> None:
    services.answer = SweepResult(run(), Breaking(3))
    response = get(client, query)
    assert_problem(response, 503, "ledger_unreachable")
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_results_that_break_off_later_break_the_answer_off(
    client: Client, services: FakeServices, query: str
) -> None:
    services.answer = SweepResult(run(), Breaking(3_000))
    with pytest.raises(LedgerUnreachable):
        get(client, query).get_data()


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
    monkeypatch.delenv("RECONCILE_API_KEYS")
    assert_problem(get(client), 503, "not_configured")
    assert not services.sweeps
