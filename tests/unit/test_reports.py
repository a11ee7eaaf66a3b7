"""What a report holds, and the CSV and the JSON of it."""

import csv
import hashlib
import io
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.core.amount import FlowAmount
from shared.core.errors import InvalidAddress, InvalidInput, RunNotFound, UserNotFound
from shared.core.moment import parse_moment
from shared.core.outcome import Outcome
from shared.core.report import Report
from shared.reports.csv_report import AUDIT_CSV_COLUMNS, report_csv_lines
from shared.reports.formats import write_report
from shared.reports.sums import sum_up
from shared.services import reports as reports_service
from shared.services import spooled_rows
from shared.services.reports import Reports
from shared.services.spooled_rows import SpooledRows
from tests.fakes.fake_audit_reader import FakeAuditReader
from tests.fakes.fake_clock import START
from tests.fakes.fake_rollbacks import FakeRollbacks
from tests.fakes.fake_run_search import FakeRunSearch
from tests.unit.audit_rows import audit_row, rolled_back
from tests.unit.reports import NoChecks, period_report, result, run_report, user_report
from tests.unit.runs import RUN_ID, STARTED
from tests.unit.users import user
from tests.unit.worlds import World
from tools.openapi import answers

DAY = timedelta(days=1)


def reports_of(world: World, audit: FakeAuditReader | None = None) -> Reports:
    return Reports(
        world.runs,
        world.ledger,
        audit or FakeAuditReader(),
        FakeRunSearch(world.store, world.ledger),
        users=lambda: world.user_reconciler,
        checks=NoChecks,
        clock=world.clock,
    )


def written(report: Report, format_name: str) -> bytes:
    file = io.BytesIO()
    write_report(report, format_name, file)
    return file.getvalue()


def read_csv(report: Report) -> list[dict[str, str]]:
    text = written(report, "csv").decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_json(report: Report) -> Any:
    return json.loads(written(report, "json"))


# -- what they hold ---------------------------------------------------------------------------


def test_a_runs_rows_tie_to_its_counts() -> None:
    contract: dict[str, int] = {user(number): 5 + number % 3 for number in range(30)}
    ledger: dict[str, int] = dict.fromkeys(contract, 5)
    world = World(ledger, contract)
    world.contract.panic_for([user(7)])
    run = world.sweep().summary

    report = reports_of(world).run(run.run_id, "alice")

    groups = sum_up(report).groups
    for outcome in set(Outcome) - {Outcome.IN_SYNC}:
        assert run.count(outcome) == (groups[outcome].rows if outcome in groups else 0)
    corrected = groups[Outcome.CORRECTED]
    assert (corrected.increase, corrected.decrease) == (run.surplus, run.deficit)
    assert (report.made_by, report.made_at) == ("alice", world.clock.now())


def test_what_was_rolled_back_of_a_run_is_counted_by_its_report_and_its_periods() -> None:
    world = World(dict.fromkeys(map(user, range(3)), 5), dict.fromkeys(map(user, range(3)), 7))
    run = world.sweep().summary
    world.clock.advance(1)
    reports = reports_of(world)
    assert reports.run(run.run_id).rolled_back == reports.period(START - DAY, None).rolled_back == 0
    ids = [row.id for row in world.ledger.audit[:2]]
    rollbacks = FakeRollbacks(world.ledger, world.store, world.clock)
    rollbacks.roll_back(ids, "alice", "a wrong block", dry_run=False)

    assert reports.run(run.run_id).rolled_back == 2
    assert reports.period(START - DAY, None).rolled_back == 2
    assert read_json(reports.run(run.run_id))["rolledBack"] == 2
    assert read_json(reports.period(START - DAY, None))["rolledBack"] == 2

    world.clock.advance(1)
    later = world.sweep().summary
    world.clock.advance(1)
    assert reports.run(later.run_id).rolled_back == 0
    assert reports.period(START - DAY, None).rolled_back == 0


def test_the_newest_run_needs_no_id() -> None:
    world = World({user(1): 5}, {user(1): 5})
    world.sweep()
    world.clock.advance(1)
    newest = world.sweep(dry_run=True).summary.run_id
    assert reports_of(world).run(None).run.run_id == newest


def test_a_run_that_is_not_there() -> None:
    for run_id in (None, uuid4()):
        with pytest.raises(RunNotFound):
            reports_of(World()).run(run_id)


@pytest.mark.parametrize("page", [1, 2, 100])
def test_a_period_has_the_runs_and_the_rows_of_ours(
    monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    monkeypatch.setattr(reports_service, "PAGE_ROWS", page)
    monkeypatch.setattr(reports_service, "PAGE_RUNS", page)
    world = World({user(1): 5}, {user(1): 5})
    runs = []
    for _ in range(4):
        runs.append(world.sweep().summary)
        world.clock.advance(3_600)
    rows = [audit_row(number, created_at=START + timedelta(minutes=number)) for number in (1, 2, 3)]
    deposit = audit_row(4, operation_type="deposit", created_at=START)
    log = FakeAuditReader([*rows, deposit, audit_row(5, created_at=START + DAY)])

    report = reports_of(world, log).period(START, START + timedelta(hours=3))

    assert list(report.runs) == runs[:3]
    assert list(report.rows) == rows
    assert [(total.operation_type, total.rows) for total in report.totals] == [
        ("deposit", 1),
        ("reconciliation", 3),
    ]
    assert reports_of(world, log).period(START, None).until == world.clock.now()


def test_a_period_that_ends_before_it_begins() -> None:
    with pytest.raises(InvalidInput):
        reports_of(World()).period(START, START)


@pytest.mark.parametrize("page", [1, 100])
def test_a_user_has_both_balances_and_all_rows(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    monkeypatch.setattr(reports_service, "PAGE_ROWS", page)
    world = World({user(1): 5}, {user(1): 7})
    log = FakeAuditReader([audit_row(1), audit_row(2), audit_row(3, user_address=user(2))])
    report = reports_of(world, log).user(user(1).upper().replace("0X", "0x"))
    assert report.user_address == user(1)
    assert report.standing.discrepancy == FlowAmount(2)
    assert [row.audit_id for row in report.rows] == ["2", "1"]


def test_an_outage_of_the_contract_hides_no_history() -> None:
    world = World({user(1): 5}, {user(1): 5})
    world.contract.panic_for([user(1)])
    report = reports_of(world, FakeAuditReader([audit_row(1)])).user(user(1)[2:])
    assert report.user_address == user(1)
    assert report.standing.outcome is Outcome.FAILED
    assert len(report.rows) == 1


def test_a_user_is_known_by_any_of_three() -> None:
    gone = FakeAuditReader([audit_row(1, user_address=user(3)), audit_row(2, user_address="x")])
    reports = reports_of(World({user(1): 0}, {user(1): 0, user(2): 7}), gone)
    assert reports.user(user(1)).user_address == user(1)
    assert reports.user(user(2)).user_address == user(2)
    assert reports.user(user(3)).user_address == user(3)
    assert reports.user("x").user_address == "x"
    with pytest.raises(InvalidAddress):
        reports.user("y")


def test_a_user_of_whom_nothing_is_known() -> None:
    world = World({}, {user(9): 0})
    with pytest.raises(UserNotFound):
        reports_of(world).user(user(9))


# -- CSV --------------------------------------------------------------------------------------


def test_the_csv_of_audit_rows_has_all_columns() -> None:
    (row,) = read_csv(user_report(rolled_back(2, 1)))
    assert tuple(row) == AUDIT_CSV_COLUMNS
    assert row == {
        "audit_id": "2",
        "created_at": "2026-01-02T03:04:07.000Z",
        "user_address": user(1),
        "operation_type": "reconciliation_rollback",
        "amount": "-0.00000001",
        "balance_before": "0.00000006",
        "balance_after": "0.00000005",
        "transaction_hash": "rollback_by_alice",
        "block_height": "7",
        "run_id": "",
        "chain_no": "2",
        "reverses_audit_id": "1",
        "reason": "a wrong contract address",
    }


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_of_an_audit_row_becomes_a_formula(start: str) -> None:
    text = f"{start}cmd|' /C calc'!A0"
    fields = ("user_address", "operation_type", "transaction_hash", "reason", "audit_id")
    (row,) = read_csv(period_report(audit_row(1, **dict.fromkeys(fields, text))))
    assert [row[name] for name in fields] == ["'" + text] * len(fields)


def test_what_an_audit_row_lacks_is_an_empty_cell() -> None:
    bare = audit_row(1, amount=None, created_at=None, block_height=None, chain_no=None)
    (row,) = read_csv(user_report(bare))
    empty = ("amount", "created_at", "block_height", "chain_no", "run_id", "reason")
    assert [row[name] for name in empty] == [""] * len(empty)


def test_the_checksum_is_what_sha256sum_says_of_the_csv() -> None:
    for report in (run_report(result(1)), user_report(audit_row(1)), period_report()):
        expected = hashlib.sha256(written(report, "csv")).hexdigest()
        assert sum_up(report).sha256 == read_json(report)["csvSha256"] == expected


def test_another_row_gives_another_checksum() -> None:
    sums = {sum_up(run_report(result(1, audit_id=str(n)))).sha256 for n in range(5)}
    assert len(sums) == 5


# -- JSON -------------------------------------------------------------------------------------


def test_the_json_is_what_is_documented() -> None:
    run = read_json(run_report(result(1), result(2, Outcome.FAILED)))
    assert answers.RunReport.model_validate(run).row_count == len(run["rows"]) == 2
    period = read_json(period_report(audit_row(1), solvency=None))
    assert answers.PeriodReport.model_validate(period).row_count == len(period["rows"]) == 1
    history = read_json(user_report())
    assert answers.UserReport.model_validate(history).row_count == len(history["rows"]) == 0


def test_the_json_rows_are_the_rows() -> None:
    report = user_report(*map(audit_row, range(1, 4)))
    assert read_json(report)["rows"] == [row.as_json() for row in report.rows]


@pytest.mark.parametrize(
    ("report", "name"),
    [
        (run_report(), f"run-{RUN_ID}"),
        (period_report(), "period-2026-01-02-to-2026-01-03"),
        (
            period_report(since=STARTED),
            "period-2026-01-02T030405Z-to-2026-01-03",
        ),
        (user_report(), f"user-{user(1)}"),
        (user_report(user_address='../a"\r\n' + "x" * 99), "user--a-" + "x" * 77),
    ],
)
def test_a_file_is_called_after_what_it_is_of(report: Report, name: str) -> None:
    assert report.name == read_json(report)["name"] == name


# -- rows that are read once ------------------------------------------------------------------


def test_many_rows_are_read_once_and_kept_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooled_rows, "ROWS_IN_MEMORY_MAX", 10)
    monkeypatch.setattr(spooled_rows, "BLOCK_ROWS", 7)
    for count in (0, 9, 10, 11, 17, 18, 100):
        rows = SpooledRows(iter(map(audit_row, range(count))))
        expected = list(map(audit_row, range(count)))
        assert len(rows) == count
        assert list(rows) == list(rows) == expected
        first, second = iter(rows), iter(rows)
        pairs = list(zip(first, second, strict=True))
        assert pairs == list(zip(expected, expected, strict=True))


def test_a_large_report_is_written_from_the_file() -> None:
    rows = SpooledRows(result(number) for number in range(25_000))
    lines = list(report_csv_lines(run_report(rows=rows)))
    assert len(lines) == 25_001
    assert lines[-1].startswith(user(24_999))


# -- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-11-23", "2026-11-23T00:00:00+00:00"),
        ("2026-11-23T14:30", "2026-11-23T14:30:00+00:00"),
        ("2026-11-23T14:30:00Z", "2026-11-23T14:30:00+00:00"),
        ("2026-11-23T14:30:00+01:00", "2026-11-23T13:30:00+00:00"),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, iso: str) -> None:
    assert parse_moment(text).isoformat() == iso


@pytest.mark.parametrize("text", ["", "x", "23.11.2026", "2026-13-01", "0001-01-01T00:00+10:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_moment(text)
