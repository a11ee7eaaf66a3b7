"""Rollbacks in Supabase behind the port `Rollbacks`: the procedures of 015, amounts as text."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import amount, bad_answer, call, columns, reading
from shared.adapters.supabase_run_refusals import refusal_of
from shared.core.rollback import Rollback, RollbackOutcome, RollbackPage


class SupabaseRollbacks:
    """Calls the procedures of supabase/migrations; see docs/sql-api.md for their answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def roll_back(
        self, audit_ids: Sequence[str], admin_address: str, reason: str, *, dry_run: bool
    ) -> list[Rollback]:
        answer = call(
            self._client,
            "rollback_user_balances",
            {
                "p_audit_ids": list(audit_ids),
                "p_admin_address": admin_address,
                "p_reason": reason,
                "p_dry_run": dry_run,
            },
        )
        with reading("rollback_user_balances"):
            rollbacks = _rollbacks(answer)
        if len(rollbacks) != len(audit_ids):
            raise bad_answer("rollback_user_balances")
        return rollbacks

    def roll_back_run(
        self,
        run_id: UUID,
        after: str | None,
        limit: int,
        admin_address: str,
        reason: str,
        *,
        dry_run: bool,
    ) -> RollbackPage:
        answer = call(
            self._client,
            "rollback_reconciliation_run",
            {
                "p_run_id": str(run_id),
                "p_after": after,
                "p_limit": limit,
                "p_admin_address": admin_address,
                "p_reason": reason,
                "p_dry_run": dry_run,
            },
        )
        refusal = refusal_of("rollback_reconciliation_run", answer, str(run_id))
        if refusal is not None:
            raise refusal
        with reading("rollback_reconciliation_run"):
            return RollbackPage(rollbacks=tuple(_rollbacks(answer)), through=answer["through"])


def _rollbacks(answer: Any) -> list[Rollback]:
    rows = columns(
        answer,
        "audit_ids",
        "outcomes",
        "codes",
        "user_addresses",
        "old_balances",
        "new_balances",
        "rollback_audit_ids",
    )
    return [
        Rollback(
            audit_id=audit_id,
            outcome=RollbackOutcome(outcome),
            code=code,
            user_address=user_address,
            old_balance=amount(old),
            new_balance=amount(new),
            rollback_audit_id=rollback_audit_id,
        )
        for audit_id, outcome, code, user_address, old, new, rollback_audit_id in rows
    ]
