"""A table's cells as text: exact, and harmless in a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime

from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import iso_utc

# A spreadsheet takes a cell that starts so for a formula; stored addresses can be anything.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_line(cells: Iterable[str]) -> str:
    """One record of RFC 4180, ending in CRLF."""
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def amount_cell(amount: FlowAmount | None) -> str:
    """FLOW with 8 places, nothing when it is not known."""
    # Written by us, so its minus sign is a number's and needs no escape.
    return "" if amount is None else format_amount(amount)


def number_cell(number: int | None) -> str:
    """A block height, say."""
    return "" if number is None else str(number)


def time_cell(moment: datetime | None) -> str:
    """UTC."""
    return "" if moment is None else iso_utc(moment)


def text_cell(text: str | None) -> str:
    """What others wrote: never a formula."""
    if text and text.startswith(_FORMULA_STARTS):
        return "'" + text
    return text or ""
