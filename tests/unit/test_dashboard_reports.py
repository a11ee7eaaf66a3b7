"""Reports as downloads: which one is asked for, and what is said when there is none."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from shared.core.errors import LedgerUnreachable, UserNotFound
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import PeriodReport, UserReport
from tests.fakes.fake_clock import START
from tests.unit.dashboard_client import VIEWER_KEY, Browser, FakeServices, dashboard, text_of
from tests.unit.runs import RUN_ID
from tests.unit.users import user


class FakeReports:
    """Empty reports; `asked` has what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def run(self, run_id: UUID, made_by: str) -> None:
        raise LedgerUnreachable("the database is down", remedy="Start it.")

    def period(self, since: datetime, until: datetime, made_by: str) -> PeriodReport:
        self.asked.append((since, until, made_by))
        return PeriodReport(
            made_at=START, made_by=made_by, since=since, until=until, runs=(), totals=(), rows=[]
        )

    def user(self, user_address: str, made_by: str) -> UserReport:
        if user_address != user(1):
            raise UserNotFound("nothing is known of this user", remedy="Check the address.")
        standing = ReconciliationResult(
            user_address=user_address, outcome=Outcome.IN_SYNC, timestamp=START
        )
        return UserReport(
            made_at=START, made_by=made_by, user_address=user_address, standing=standing, rows=[]
        )


@pytest.fixture
def reports() -> FakeReports:
    return FakeReports()


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, reports: FakeReports) -> Iterator[Browser]:
    with dashboard(monkeypatch, FakeServices(reports=reports, report_store=None)) as made:
        made.sign_in(VIEWER_KEY)
        yield made


def test_a_period_is_of_whole_days_in_utc(browser: Browser, reports: FakeReports) -> None:
    with browser.get("/reports/period.csv?since=2026-01-01&through=2026-01-31") as answer:
        assert (answer.status_code, answer.content_length) == (200, len(answer.data))
    assert reports.asked == [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), "watcher")
    ]
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    name = "period-2026-01-01-to-2026-02-01.csv"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("since=2026-02-01&through=2026-01-31", "The period ends before it begins."),
        ("since=2026-01-01", "Give both days"),
        ("since=x&through=2026-01-31", "Give both days"),
        ("since=2026-01-01&through=9999-12-31", "Give both days"),
    ],
)
def test_a_period_that_is_none_is_told(
    browser: Browser, reports: FakeReports, query: str, fault: str
) -> None:
    for path in ("/reports", "/reports/period.pdf"):
        answer = browser.get(f"{path}?{query}")
        assert (answer.status_code, fault in text_of(answer)) == (422, True)
    assert not reports.asked


def test_the_last_days_are_offered(browser: Browser) -> None:
    page = browser.get("/reports?since=2026-01-01&through=2026-01-31").text
    assert "/reports/period.csv?since=2026-01-01&amp;through=2026-01-31" in page
    assert "/reports/period.pdf?since=" in browser.get("/reports").text


@pytest.mark.parametrize("format_name", ["pdf", "json"])
def test_a_users_report(browser: Browser, format_name: str) -> None:
    with browser.get(f"/users/{user(1)}/report.{format_name}") as answer:
        assert answer.data
    assert (answer.status_code, answer.mimetype) == (200, f"application/{format_name}")
    assert answer.headers["Content-Disposition"].endswith(f'"user-{user(1)}.{format_name}"')


def test_what_there_is_not(browser: Browser) -> None:
    assert browser.get(f"/users/{user(2)}/report.csv").status_code == 404
    assert browser.get(f"/users/{user(1)}/report.xlsx").status_code == 404
    assert browser.get("/reports/period.exe?since=2026-01-01&through=2026-01-31").status_code == 404


def test_an_error_while_it_is_made_is_a_page(browser: Browser) -> None:
    answer = browser.get(f"/runs/{RUN_ID}/report.pdf")
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "Content-Disposition" not in answer.headers
