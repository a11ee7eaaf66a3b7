"""The ledger's sums and the solvency checks, in Supabase."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import amount, amount_text, call, reading
from shared.core.amount import parse_amount
from shared.core.solvency import LedgerTotals, SolvencyCheck, SolvencyFinding, SolvencyState


class SupabaseSolvency:
    """Implements the port `SolvencyStore` by the procedures of 016."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def ledger_totals(self) -> LedgerTotals:
        answer = call(self._client, "ledger_totals", {})
        with reading("ledger_totals"):
            respelled = answer["respelled_users"]
            return LedgerTotals(
                total=parse_amount(answer["total"]),
                users=int(answer["users"]),
                negative_users=int(answer["negative_users"]),
                negative_total=parse_amount(answer["negative_total"]),
                unusable_users=int(answer["unusable_users"]),
                respelled_users=None if respelled is None else int(respelled),
            )

    def record(self, finding: SolvencyFinding) -> SolvencyCheck:
        parameters = {
            "p_check_id": str(finding.check_id),
            "p_admin_address": finding.admin_address,
            "p_state": str(finding.state),
            "p_confirmed": finding.confirmed,
            "p_tolerance": amount_text(finding.tolerance),
            "p_error_code": finding.error_code,
            "p_error": finding.error,
            **_amounts(finding),
        }
        answer = call(self._client, "record_solvency_check", parameters)
        with reading("record_solvency_check"):
            return _check(answer)

    def list(self, *, before: UUID | None = None, limit: int = 50) -> list[SolvencyCheck]:
        parameters = {"p_before": None if before is None else str(before), "p_limit": limit}
        answer = call(self._client, "list_solvency_checks", parameters)
        with reading("list_solvency_checks"):
            return [_check(each) for each in answer["checks"]]


def _amounts(finding: SolvencyFinding) -> dict[str, Any]:
    if (found := finding.reading) is None:
        return {}
    return {
        "p_block_height": found.block_height,
        "p_ledger_total": amount_text(found.ledger.total),
        "p_ledger_users": found.ledger.users,
        "p_negative_users": found.ledger.negative_users,
        "p_negative_total": amount_text(found.ledger.negative_total),
        "p_unusable_users": found.ledger.unusable_users,
        "p_respelled_users": found.ledger.respelled_users,
        "p_vault_balance": amount_text(found.contract.vault_balance),
        "p_contract_total": amount_text(found.contract.contract_total),
    }


def _check(answer: Mapping[str, Any]) -> SolvencyCheck:
    return SolvencyCheck(
        check_id=UUID(answer["check_id"]),
        checked_at=_time(answer["checked_at"]),
        admin_address=answer["admin_address"],
        state=SolvencyState(answer["state"]),
        confirmed=bool(answer["confirmed"]),
        since=_time(answer["since"]),
        tolerance=parse_amount(answer["tolerance"]),
        block_height=answer["block_height"],
        ledger_total=amount(answer["ledger_total"]),
        ledger_users=answer["ledger_users"],
        negative_users=answer["negative_users"],
        negative_total=amount(answer["negative_total"]),
        unusable_users=answer["unusable_users"],
        respelled_users=answer["respelled_users"],
        vault_balance=amount(answer["vault_balance"]),
        contract_total=amount(answer["contract_total"]),
        audit_id=answer["audit_id"],
        error_code=answer["error_code"],
        error=answer["error"],
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
