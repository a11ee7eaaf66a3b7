"""An audit log in memory, read as the procedures of 018 read it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from shared.core.amount import FlowAmount
from shared.core.audit_row import AuditRow, AuditTotal
from shared.core.errors import LedgerInvalidValue

PAGE_ROWS_MAX = 10_000
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class FakeAuditReader:
    """Implements the port `AuditReader` over `rows`, whose audit ids are numbers."""

    def __init__(self, rows: Iterable[AuditRow] = ()) -> None:
        self.rows = list(rows)

    def list_user(
        self, user_address: str, before: str | None = None, limit: int = 50
    ) -> list[AuditRow]:
        mine = sorted(
            (row for row in self.rows if row.user_address == user_address),
            key=_in_history,
            reverse=True,
        )
        return _page(mine, before, limit)

    def list_period(
        self,
        since: datetime,
        until: datetime,
        after: str | None = None,
        limit: int = 1_000,
        operation_types: Sequence[str] | None = None,
    ) -> list[AuditRow]:
        rows = sorted(self._within(since, until), key=_in_time)
        first = 0 if after is None else _place(rows, after) + 1
        found = [
            row
            for row in rows[first:]
            if operation_types is None or row.operation_type in operation_types
        ]
        return _page(found, None, limit)

    def totals(self, since: datetime, until: datetime) -> list[AuditTotal]:
        rows = self._within(since, until)
        return [
            _total(name, [row.amount for row in rows if row.operation_type == name])
            for name in sorted({row.operation_type for row in rows})
        ]

    def _within(self, since: datetime, until: datetime) -> list[AuditRow]:
        if until <= since:
            raise _invalid("p_until is not after p_since")
        return [row for row in self.rows if row.created_at and since <= row.created_at < until]


def _page(rows: list[AuditRow], last: str | None, limit: int) -> list[AuditRow]:
    if not 1 <= limit <= PAGE_ROWS_MAX:
        raise _invalid("p_limit")
    first = 0 if last is None else _place(rows, last) + 1
    return rows[first : first + limit]


def _place(rows: list[AuditRow], audit_id: str) -> int:
    for place, row in enumerate(rows):
        if row.audit_id == audit_id:
            return place
    raise _invalid("no such audit row")


def _in_history(row: AuditRow) -> tuple[int, datetime, int]:
    chain_no = row.chain_no or 0
    moment = _BEGINNING if chain_no else row.created_at or _BEGINNING
    return chain_no, moment, int(row.audit_id)


def _in_time(row: AuditRow) -> tuple[datetime, int]:
    assert row.created_at is not None
    return row.created_at, int(row.audit_id)


def _total(name: str, amounts: list[FlowAmount | None]) -> AuditTotal:
    exact = [amount for amount in amounts if amount is not None]
    return AuditTotal(
        operation_type=name,
        rows=len(amounts),
        increase=FlowAmount(sum(amount for amount in exact if amount > 0)),
        decrease=FlowAmount(sum(amount for amount in exact if amount < 0)),
        unsummed=len(amounts) - len(exact),
    )


def _invalid(fault: str) -> LedgerInvalidValue:
    return LedgerInvalidValue(fault, remedy="Pass another value.")
