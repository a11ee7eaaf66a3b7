"""The audit log in Supabase."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import amount, call, columns, reading
from shared.core.amount import parse_amount
from shared.core.audit_row import AuditRow, AuditTotal

_COLUMNS = (
    "audit_ids",
    "user_addresses",
    "operation_types",
    "amounts",
    "balances_before",
    "balances_after",
    "transaction_hashes",
    "created_ats",
    "run_ids",
    "block_heights",
    "chain_nos",
    "reasons",
    "reverses_audit_ids",
)


class SupabaseAuditReader:
    """Implements the port `AuditReader` by the procedures of 018."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_user(
        self, user_address: str, before: str | None = None, limit: int = 50
    ) -> list[AuditRow]:
        return self._rows(
            "list_user_audit",
            {"p_user_address": user_address, "p_before": before, "p_limit": limit},
        )

    def list_period(
        self,
        since: datetime,
        until: datetime,
        after: str | None = None,
        limit: int = 1_000,
        operation_types: Sequence[str] | None = None,
    ) -> list[AuditRow]:
        types = None if operation_types is None else list(operation_types)
        return self._rows(
            "list_audit",
            _period(since, until)
            | {"p_after": after, "p_limit": limit, "p_operation_types": types},
        )

    def totals(self, since: datetime, until: datetime) -> list[AuditTotal]:
        answer = call(self._client, "audit_totals", _period(since, until))
        names = ("operation_types", "counts", "increases", "decreases", "unsummed")
        with reading("audit_totals"):
            return [
                AuditTotal(
                    operation_type=operation_type,
                    rows=rows,
                    increase=parse_amount(increase),
                    decrease=parse_amount(decrease),
                    unsummed=unsummed,
                )
                for operation_type, rows, increase, decrease, unsummed in columns(answer, *names)
            ]

    def _rows(self, procedure: str, parameters: dict[str, Any]) -> list[AuditRow]:
        answer = call(self._client, procedure, parameters)
        with reading(procedure):
            return [_row(*cells) for cells in columns(answer, *_COLUMNS)]


def _row(
    audit_id: str,
    user_address: str,
    operation_type: str,
    change: str | None,
    before: str | None,
    after: str | None,
    transaction_hash: str | None,
    created_at: str | None,
    run_id: str | None,
    block_height: int | None,
    chain_no: int | None,
    reason: str | None,
    reverses_audit_id: str | None,
) -> AuditRow:
    return AuditRow(
        audit_id=audit_id,
        user_address=user_address,
        operation_type=operation_type,
        amount=amount(change),
        balance_before=amount(before),
        balance_after=amount(after),
        transaction_hash=transaction_hash,
        created_at=None if created_at is None else _utc(created_at),
        run_id=None if run_id is None else UUID(run_id),
        block_height=block_height,
        chain_no=chain_no,
        reason=reason,
        reverses_audit_id=reverses_audit_id,
    )


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _period(since: datetime, until: datetime) -> dict[str, Any]:
    return {"p_since": since.isoformat(), "p_until": until.isoformat()}
