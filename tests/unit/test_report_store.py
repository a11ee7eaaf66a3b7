"""Keeping reports: those of ended runs, those that are too large, and what fails meanwhile."""

from datetime import timedelta
from io import BytesIO
from uuid import uuid4

import pytest

from shared.core.errors import ReportStoreError
from shared.core.stored_report import StoredState
from shared.reports.formats import CONTENT_TYPES, write_report
from shared.reports.sums import sum_up
from shared.services.report_store import ReportStore
from shared.services.reports import Reports
from tests.fakes.fake_audit_reader import FakeAuditReader
from tests.fakes.fake_run_search import FakeRunSearch
from tests.fakes.fake_stored_reports import FakeReportFiles, FakeStoredReports
from tests.unit.reports import NoChecks, result, run_report
from tests.unit.users import user
from tests.unit.worlds import World


class StoringWorld(World):
    """A world whose reports are kept."""

    def __init__(self) -> None:
        super().__init__({user(1): 5, user(2): 6}, {user(1): 7, user(2): 6})
        reports = Reports(
            self.runs,
            self.ledger,
            FakeAuditReader(),
            FakeRunSearch(self.store),
            users=lambda: self.user_reconciler,
            checks=NoChecks,
            clock=self.clock,
        )
        self.reports = reports
        self.files = FakeReportFiles()
        self.records = FakeStoredReports(self.store, self.clock)
        self.kept = ReportStore(self.files, self.records, reports, write_report, CONTENT_TYPES)


def test_an_ended_run_is_kept_as_csv_and_pdf_once() -> None:
    world = StoringWorld()
    run = world.sweep().summary

    assert [world.kept.store_pending(), world.kept.store_pending()] == [1, 0]

    path = f"runs/{run.finished_at:%Y-%m-%d}/{run.run_id}"
    assert world.files.types == {
        f"{path}.csv": "text/csv; charset=utf-8",
        f"{path}.pdf": "application/pdf",
    }
    assert user(1).encode() in world.files.files[f"{path}.csv"]
    assert world.files.files[f"{path}.pdf"].startswith(b"%PDF-")
    stored = world.kept.stored(run.run_id)
    assert stored is not None
    assert (stored.state, stored.path) == (StoredState.STORED, path)
    assert stored.sha256 == sum_up(world.reports.run(run.run_id)).sha256


def test_dry_runs_are_not_kept() -> None:
    world = StoringWorld()
    world.sweep(dry_run=True)
    assert world.kept.store_pending() == 0
    assert not world.files.files


def test_a_call_stores_no_more_than_it_may() -> None:
    world = StoringWorld()
    for _ in range(3):
        world.sweep()
    assert [world.kept.store_pending(2), world.kept.store_pending(2)] == [2, 1]
    assert len(world.files.files) == 6


def test_a_store_that_is_away_is_asked_once_and_again_later() -> None:
    world = StoringWorld()
    runs = [world.sweep().summary.run_id for _ in range(2)]
    world.files.down = True

    assert world.kept.store_pending() == 0

    states = [stored and stored.state for stored in map(world.kept.stored, runs)]
    assert states.count(StoredState.FAILED) == 1
    assert states.count(None) == 1
    world.files.down = False
    assert world.kept.store_pending() == 1
    world.clock.advance(61)
    assert world.kept.store_pending() == 1
    assert len(world.files.files) == 4


def test_a_link_leads_to_what_is_kept_of_a_run() -> None:
    world = StoringWorld()
    run_id = world.sweep().summary.run_id
    assert world.kept.link_of_run(run_id, "pdf", "run.pdf") is None
    world.kept.store_pending()
    link = world.kept.link_of_run(run_id, "pdf", "run.pdf")
    assert link is not None
    assert f"{run_id}.pdf?name=run.pdf&expires=300" in link
    assert world.kept.link_of_run(run_id, "json", "run.json") is None
    assert world.kept.link_of_run(uuid4(), "csv", "run.csv") is None


def test_what_is_asked_for_is_kept_under_what_it_says() -> None:
    world = StoringWorld()
    report = run_report(result(1))
    file = BytesIO()
    write_report(report, "csv", file)
    link = world.kept.publish(file, report, "csv")
    ((path, body),) = world.files.files.items()
    sha256 = sum_up(report).sha256
    assert path == f"requested/2026-01-02/{sha256[:16]}/{report.name}.csv"
    assert body == file.getvalue()
    assert link.startswith(f"https://store.example/{path}?")
    world.files.down = True
    with pytest.raises(ReportStoreError):
        world.kept.publish(file, report, "csv")


def test_a_lease_that_was_lost_is_not_counted() -> None:
    world = StoringWorld()
    world.sweep()
    put = world.files.put

    def slow(*args: object, **kwargs: object) -> None:
        world.clock.advance(timedelta(hours=1).total_seconds())
        world.records.lease(uuid4(), lease_s=60)
        put(*args, **kwargs)  # type: ignore[arg-type]

    world.files.put = slow  # type: ignore[method-assign]
    assert world.kept.store_pending() == 0
