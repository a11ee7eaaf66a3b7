"""The CSV report, read back by the csv module as a spreadsheet would."""

import csv
import io
from datetime import UTC, datetime

import pytest

from shared.core.amount import UFIX64_MAX, FlowAmount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.reports.csv_report import CSV_COLUMNS, csv_lines

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def result(**changes: object) -> ReconciliationResult:
    base = ReconciliationResult(
        user_address="0xf8d6e0586b0a20c7",
        outcome=Outcome.CORRECTED,
        timestamp=NOW,
        old_balance=UFIX64_MAX,
        new_balance=FlowAmount(1),
        discrepancy=FlowAmount(1 - UFIX64_MAX),
        block_height=7,
        scan_height=5,
        audit_id="42",
    )
    return base.having(**changes)


def read(*results: ReconciliationResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(results)), newline="")))


def test_a_row_has_exact_amounts_and_all_columns() -> None:
    assert read(result()) == [
        {
            "user_address": "0xf8d6e0586b0a20c7",
            "outcome": "corrected",
            "ledger_balance": "184467440737.09551615",
            "contract_balance": "0.00000001",
            "discrepancy": "-184467440737.09551614",
            "block_height": "7",
            "scan_height": "5",
            "audit_id": "42",
            "timestamp": "2026-01-02T03:04:05.678Z",
            "error_code": "",
            "error": "",
        }
    ]


def test_no_results_still_have_the_header() -> None:
    assert list(csv_lines([])) == [",".join(CSV_COLUMNS) + "\r\n"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_stored_key_cannot_become_a_formula(start: str) -> None:
    key = f'{start}HYPERLINK("http://x.test")'
    (row,) = read(result(user_address=key, error=key))
    assert row["user_address"] == row["error"] == "'" + key


def test_quotes_commas_and_line_breaks_stay_in_their_cell() -> None:
    (row,) = read(result(user_address='a,"b"\r\nc'))
    assert row["user_address"] == 'a,"b"\r\nc'


def test_what_is_not_known_is_an_empty_cell_and_no_zero() -> None:
    unread = result(
        outcome=Outcome.FAILED,
        old_balance=None,
        new_balance=None,
        discrepancy=None,
        block_height=None,
        scan_height=None,
        audit_id=None,
    )
    (row,) = read(unread)
    assert [row[name] for name in CSV_COLUMNS[2:8]] == [""] * 6
