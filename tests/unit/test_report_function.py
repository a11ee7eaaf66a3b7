"""GET report, through functions-framework, over reports with prepared answers."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import functions_framework
import pytest
from pypdf import PdfReader
from werkzeug.test import Client, TestResponse

from functions.report import handler
from shared.core.errors import LedgerUnreachable, ReportStoreError, RunNotFound, UserNotFound
from shared.core.report import Report
from shared.core.run import RunState
from shared.http import report_answer
from tests.deploy.events import api_event
from tests.unit.audit_rows import audit_row
from tests.unit.reports import period_report, result, run_of, run_report, user_report
from tests.unit.runs import RUN_ID
from tests.unit.serving import KEY, NAME, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "report.py"
RUN = f"?kind=run&runId={RUN_ID}"
PERIOD = "?kind=period&since=2026-01-02"
USER = "?kind=user&userAddress=0xf8d6e0586b0a20c7"


class FakeStore:
    """Keeps nothing; `link` is where a run's report is, if it is stored."""

    def __init__(self) -> None:
        self.link: str | None = None
        self.published: list[tuple[str, bytes]] = []
        self.error: Exception | None = None

    def link_of_run(self, run_id: UUID, format_name: str, file_name: str) -> str | None:
        return self.link and f"{self.link}/{run_id}.{format_name}?{file_name}"

    def publish(self, file: Any, report: Report, format_name: str) -> str:
        if self.error:
            raise self.error
        file.seek(0)
        self.published.append((format_name, file.read()))
        return f"https://store.example/{report.name}.{format_name}"


class FakeServices:
    """Its own reports; `asked` is what for, and by whom."""

    def __init__(self) -> None:
        self.reports = self
        self.report_store: FakeStore | None = None
        self.asked: list[tuple[Any, ...]] = []
        self.answer: Report | Exception | None = None

    def run(self, run_id: UUID | None, made_by: str) -> Report:
        return self._made(run_report(result(1), result(2)), run_id, made_by)

    def period(self, since: datetime, until: datetime | None, made_by: str) -> Report:
        return self._made(period_report(audit_row(1)), since, until, made_by)

    def user(self, user_address: str, made_by: str) -> Report:
        return self._made(user_report(audit_row(1)), user_address, made_by)

    def _made(self, report: Report, *asked: Any) -> Report:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or report


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("report", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def get(client: Client, query: str, *, method: str = "GET", **headers: str) -> TestResponse:
    return client.open(
        f"/{query}",
        method=method,
        headers={"Authorization": f"Bearer {KEY}", **headers},
        buffered=True,
    )


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = json.loads(response.get_data())
    assert problem["code"] == code
    assert SECRET not in response.get_data(as_text=True)
    return problem


@pytest.mark.parametrize(
    ("query", "kind", "name"),
    [
        (RUN, "run", f"run-{RUN_ID}"),
        (PERIOD, "period", "period-2026-01-02-to-2026-01-03"),
        (USER, "user", "user-0xabcdef0000000001"),
    ],
)
def test_every_kind_in_every_format(client: Client, query: str, kind: str, name: str) -> None:
    plain = get(client, query)
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.headers["Vary"] == "Accept"
    told = json.loads(plain.data)
    assert told["kind"] == kind

    table = get(client, f"{query}&format=csv")
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert table.headers["Content-Disposition"] == f'attachment; filename="{name}.csv"'
    assert table.content_length == len(table.data)
    rows = list(csv.DictReader(io.StringIO(table.text, newline="")))
    assert len(rows) == told["rowCount"]

    paper = get(client, query, Accept="application/pdf")
    assert paper.headers["Content-Type"] == "application/pdf"
    assert paper.headers["Content-Disposition"] == f'attachment; filename="{name}.pdf"'
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(paper.data)).pages)
    assert told["csvSha256"] in text


def test_what_is_asked_for_reaches_the_reports(client: Client, services: FakeServices) -> None:
    get(client, RUN)
    get(client, "?kind=run&runId=latest")
    get(client, "?kind=period&since=2026-01-02&until=2026-01-02T12:00:00%2B01:00")
    get(client, PERIOD)
    get(client, USER)
    day = datetime(2026, 1, 2, tzinfo=UTC)
    assert services.asked == [
        (RUN_ID, NAME),
        (None, NAME),
        (day, day.replace(hour=11), NAME),
        (day, None, NAME),
        ("0xf8d6e0586b0a20c7", NAME),
    ]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?kind=",
        "?kind=runs",
        "?kind=run",
        "?kind=run&runId=",
        "?kind=run&runId=x",
        f"{RUN}&runId={RUN_ID}",
        f"{RUN}&since=2026-01-02",
        f"{RUN}&format=xlsx",
        f"{RUN}&limit=1",
        "?kind=period",
        "?kind=period&until=2026-01-02",
        "?kind=period&since=yesterday",
        f"{PERIOD}&until=x",
        "?kind=user",
    ],
)
def test_what_cannot_be_meant_is_refused(
    client: Client, services: FakeServices, query: str
) -> None:
    for method in ("GET", "HEAD"):
        assert get(client, query, method=method).status_code == 400
    assert_problem(get(client, query), 400, "invalid_input")
    assert not services.asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RunNotFound("there is no run", remedy="Look."), 404),
        (UserNotFound("nothing is known", remedy="Look."), 404),
        (LedgerUnreachable("away", remedy="Wait."), 503),
    ],
)
def test_what_the_reports_raise_is_a_problem(
    client: Client, services: FakeServices, error: Any, status: int
) -> None:
    services.answer = error
    assert_problem(get(client, RUN), status, error.code)


def test_head_makes_no_report(client: Client, services: FakeServices) -> None:
    response = get(client, f"{RUN}&format=pdf", method="HEAD")
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Content-Type"] == "application/pdf"
    assert "Content-Length" not in response.headers
    assert not services.asked


def test_a_key_is_needed(client: Client, services: FakeServices) -> None:
    assert_problem(client.get(f"/{RUN}"), 401, "unauthorized")
    assert not services.asked


# -- too large to be answered -----------------------------------------------------------------


@pytest.fixture
def store(services: FakeServices, monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    monkeypatch.setattr(report_answer, "ANSWERED_BYTES_MAX", 300)
    services.report_store = FakeStore()
    return services.report_store


def test_what_is_small_enough_is_answered(client: Client, store: FakeStore) -> None:
    response = get(client, f"{USER}&format=csv")
    assert response.status_code in (200, 303)
    assert (response.status_code == 303) is (len(store.published) == 1)


def test_a_large_report_is_kept_and_linked_to(client: Client, store: FakeStore) -> None:
    response = get(client, f"{PERIOD}&format=json")
    assert response.status_code == 303
    assert response.headers["Location"] == (
        "https://store.example/period-2026-01-02-to-2026-01-03.json"
    )
    assert response.headers["Cache-Control"] == "no-store"
    ((format_name, body),) = store.published
    assert (format_name, json.loads(body)["kind"]) == ("json", "period")


def test_a_run_that_is_stored_is_linked_to_as_it_is(
    client: Client, services: FakeServices, store: FakeStore
) -> None:
    store.link = "https://kept.example"
    response = get(client, f"{RUN}&format=pdf")
    assert response.headers["Location"] == (f"https://kept.example/{RUN_ID}.pdf?run-{RUN_ID}.pdf")
    assert not store.published
    # One that goes on is not what was stored of it, if anything was.
    results = [result(1), result(2)]
    services.answer = run_report(*results, run=run_of(results, state=RunState.CORRECTING))
    assert get(client, f"{RUN}&format=pdf").headers["Location"].startswith("https://store.example")


def test_a_store_that_is_away_is_a_problem(client: Client, store: FakeStore) -> None:
    store.error = ReportStoreError("S3 is away", remedy="Wait.")
    problem = assert_problem(get(client, f"{RUN}&format=pdf"), 503, "report_store_error")
    assert problem["retryable"] is True


def test_without_a_store_all_of_it_is_answered(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_answer, "ANSWERED_BYTES_MAX", 300)
    assert services.report_store is None
    response = get(client, f"{RUN}&format=json")
    assert (response.status_code, json.loads(response.data)["rowCount"]) == (200, 2)


def test_on_lambda_a_report_without_a_store_may_be_too_large(services: FakeServices) -> None:
    def answered() -> dict[str, Any]:
        event = api_event(
            "report",
            method="GET",
            headers={"Authorization": f"Bearer {KEY}"},
            query={"kind": "run", "runId": str(RUN_ID), "format": "csv"},
        )
        return handler(event, None)

    services.answer = run_report(*(result(number, error="x" * 2_000) for number in range(4_000)))
    assert json.loads(answered()["body"])["code"] == "answer_too_large"
    services.report_store = FakeStore()
    refused = answered()
    assert refused["statusCode"] == 303
    location = refused.get("headers", {}) | {
        name: values[0] for name, values in refused.get("multiValueHeaders", {}).items()
    }
    assert re.search(r"run-.*\.csv$", {k.lower(): v for k, v in location.items()}["location"])
