"""Results as CSV (RFC 4180), a line at a time, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Iterator

from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import ReconciliationResult, iso_utc

CSV_COLUMNS = (
    "user_address",
    "outcome",
    "ledger_balance",
    "contract_balance",
    "discrepancy",
    "block_height",
    "scan_height",
    "audit_id",
    "timestamp",
    "error_code",
    "error",
)

# A spreadsheet takes a cell that starts so for a formula; stored addresses can be anything.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(results: Iterable[ReconciliationResult]) -> Iterator[str]:
    """The header and one line a result, each ending in CRLF; amounts in FLOW with 8 places."""
    yield _line(CSV_COLUMNS)
    for result in results:
        yield _line(
            (
                _text(result.user_address),
                str(result.outcome),
                _amount(result.old_balance),
                _amount(result.new_balance),
                _amount(result.discrepancy),
                _height(result.block_height),
                _height(result.scan_height),
                _text(result.audit_id),
                iso_utc(result.timestamp),
                _text(result.error_code),
                _text(result.error),
            )
        )


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _amount(amount: FlowAmount | None) -> str:
    # Written by us, so its minus sign is a number's and needs no escape.
    return "" if amount is None else format_amount(amount)


def _height(block_height: int | None) -> str:
    return "" if block_height is None else str(block_height)


def _text(text: str | None) -> str:
    if text and text.startswith(_FORMULA_STARTS):
        return "'" + text
    return text or ""
