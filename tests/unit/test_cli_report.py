"""`reconcile report`, over reports with prepared answers."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from shared.cli.main import main
from shared.cli.services import Services
from shared.core.errors import RunNotFound
from shared.core.report import Report
from tests.unit.audit_rows import audit_row
from tests.unit.reports import period_report, result, run_report, user_report
from tests.unit.runs import RUN_ID


class FakeReports:
    """Its own services; `asked` is what for."""

    def __init__(self) -> None:
        self.reports = self
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def run(self, run_id: UUID | None, made_by: str) -> Report:
        return self._made(run_report(result(1), result(2)), run_id, made_by)

    def period(self, since: datetime, until: datetime | None, made_by: str) -> Report:
        return self._made(period_report(audit_row(1)), since, until, made_by)

    def user(self, user_address: str, made_by: str) -> Report:
        return self._made(user_report(audit_row(1)), user_address, made_by)

    def _made(self, report: Report, *asked: Any) -> Report:
        if self.error:
            raise self.error
        self.asked.append(asked)
        return report


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeReports:
    monkeypatch.chdir(tmp_path)
    return FakeReports()


def report(fake: FakeReports, *words: str) -> int:
    return main(["report", *words], cast(Services, fake))


def test_a_run_becomes_a_file_of_its_name(
    fake: FakeReports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(fake, "run", str(RUN_ID)) == 0
    name = f"run-{RUN_ID}.csv"
    rows = list(csv.DictReader(io.StringIO(Path(name).read_text(), newline="")))
    assert len(rows) == 2
    assert capsys.readouterr().out == (
        f"{name}: 2 rows. Whole: all 9 users agreed with the contract up to block 7; "
        "the vault covers the ledger.\n"
    )
    assert fake.asked == [(RUN_ID, "ADMIN")]


def test_the_ending_of_the_file_says_the_format(fake: FakeReports) -> None:
    assert report(fake, "run", "latest", "--output", "a.pdf", "--admin", "alice") == 0
    assert Path("a.pdf").read_bytes().startswith(b"%PDF-")
    assert report(fake, "user", "0x1", "-o", "b.JSON") == 0
    assert json.loads(Path("b.JSON").read_text())["kind"] == "user"
    assert report(fake, "run", "latest", "-o", "c.pdf", "--format", "csv") == 0
    assert Path("c.pdf").read_text().startswith("user_address,")
    assert fake.asked == [(None, "alice"), ("0x1", "ADMIN"), (None, "ADMIN")]


def test_a_period_is_in_utc(fake: FakeReports) -> None:
    assert report(fake, "period", "--since", "2026-11-01", "--until", "2026-12-01T01:00+01:00") == 0
    assert report(fake, "period", "--since", "2026-11-01", "--format", "json") == 0
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert fake.asked == [(since, until, "ADMIN"), (since, None, "ADMIN")]


def test_a_dash_is_stdout_and_nothing_else_is_there(
    fake: FakeReports, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert report(fake, "user", "0x1", "--format", "json", "--output", "-") == 0
    told = json.loads(capfdbinary.readouterr().out)
    assert told["rowCount"] == 1
    assert report(fake, "run", "latest", "--format", "pdf", "--output", "-") == 0
    assert capfdbinary.readouterr().out.startswith(b"%PDF-")
    assert not list(Path().iterdir())


def test_a_file_is_there_whole_or_as_it_was(fake: FakeReports, tmp_path: Path) -> None:
    kept = tmp_path / "a.csv"
    kept.write_text("before")
    fake.error = RunNotFound("there is no run", remedy="Look.")
    assert report(fake, "run", "latest", "--output", "a.csv") == 2
    assert kept.read_text() == "before"
    fake.error = None
    assert report(fake, "run", "latest", "--output", "a.csv") == 0
    assert kept.read_text() != "before"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_a_file_that_cannot_be_is_refused_before_anything_is_read(
    fake: FakeReports, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(fake, "run", "latest", "--output", "no/such/folder.csv") == 2
    assert "--output no/such/folder.csv cannot be written" in capsys.readouterr().err
    assert not fake.asked


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["runs"],
        ["run"],
        ["run", "x"],
        ["run", "latest", "--format", "xlsx"],
        ["period"],
        ["period", "--since", "yesterday"],
        ["period", "--until", "2026-01-01"],
        ["user"],
    ],
)
def test_what_cannot_be_meant_is_refused(
    fake: FakeReports, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(fake, *words) == 2
    assert "[invalid_input]" in capsys.readouterr().err
    assert not fake.asked


@pytest.mark.parametrize("words", [[], ["run"], ["period"], ["user"]])
def test_help_explains(
    fake: FakeReports, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        report(fake, *words, "--help")
    assert ended.value.code == 0
    assert "reconcile report" in capsys.readouterr().out
