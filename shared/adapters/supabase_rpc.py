"""Calling the procedures of supabase/migrations, and reading what they answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from postgrest.exceptions import APIError
from supabase import Client

from shared.adapters.supabase_errors import ledger_error
from shared.core.amount import FlowAmount, format_amount, parse_amount
from shared.core.errors import InvalidInput, LedgerBadAnswer


def call(client: Client, procedure: str, parameters: dict[str, Any]) -> Any:
    """The procedure's answer as JSON. Raises LedgerError."""
    try:
        return client.rpc(procedure, parameters).execute().data
    except (APIError, httpx.HTTPError) as error:
        raise ledger_error(error) from error


@contextmanager
def reading(procedure: str) -> Iterator[None]:
    """Whatever does not fit while an answer is read makes it a LedgerBadAnswer."""
    try:
        yield
    except (InvalidInput, KeyError, TypeError, ValueError, AttributeError) as error:
        raise bad_answer(procedure) from error


def bad_answer(who: str) -> LedgerBadAnswer:
    """The answer is none of this version's procedures."""
    return LedgerBadAnswer(
        f"{who} answered in a form that this version does not know",
        remedy="Apply the supabase/migrations of this version.",
    )


def columns(answer: Any, *names: str) -> Iterator[tuple[Any, ...]]:
    """The rows of an answer made of parallel arrays. To be used within `reading`."""
    arrays = [answer[name] for name in names]
    if not all(isinstance(array, list) for array in arrays):
        raise TypeError("an array is missing")
    return zip(*arrays, strict=True)


def amount(text: str | None) -> FlowAmount | None:
    """Of decimal text, as the procedures answer it."""
    return None if text is None else parse_amount(text)


def moment(text: str) -> datetime:
    """Of a timestamp as PostgreSQL writes it, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)


def moment_or_none(text: str | None) -> datetime | None:
    """The same of what may be null."""
    return None if text is None else moment(text)


def amount_text(units: FlowAmount | None) -> str | None:
    """As the procedures take it: JSON numbers would be floats."""
    return None if units is None else format_amount(units)
