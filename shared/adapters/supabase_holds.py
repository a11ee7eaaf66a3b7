"""Holds in Supabase behind the port `Holds`: the procedures of 015."""

from typing import Any

from supabase import Client

from shared.adapters.supabase_rpc import call, moment, moment_or_none, reading
from shared.core.errors import UserNotFound
from shared.core.hold import Hold, HoldChange, HoldOutcome


class SupabaseHolds:
    """Calls the procedures of supabase/migrations; see docs/sql-api.md for their answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def hold(self, user_address: str, admin_address: str, reason: str) -> HoldChange:
        return self._change("hold_user", user_address, admin_address, reason)

    def release(
        self, user_address: str, admin_address: str, reason: str | None = None
    ) -> HoldChange:
        return self._change("release_user", user_address, admin_address, reason)

    def list_holds(self, after: str | None, limit: int) -> list[Hold]:
        return self._holds("list_holds", {"p_after": after, "p_limit": limit})

    def list_user_holds(self, user_address: str, limit: int = 100) -> list[Hold]:
        parameters = {"p_user_address": user_address, "p_limit": limit}
        return self._holds("list_user_holds", parameters)

    def _change(
        self, procedure: str, user_address: str, admin_address: str, reason: str | None
    ) -> HoldChange:
        answer = call(
            self._client,
            procedure,
            {
                "p_user_address": user_address,
                "p_admin_address": admin_address,
                "p_reason": reason,
            },
        )
        with reading(procedure):
            if answer["outcome"] == "user_not_found":
                change = None
            else:
                outcome, hold = HoldOutcome(answer["outcome"]), answer["hold"]
                change = HoldChange(
                    user_address=user_address,
                    outcome=outcome,
                    hold=None if hold is None else _hold(hold),
                )
        if change is None:
            raise UserNotFound(
                f"the ledger has no user {user_address!r}",
                remedy="Give the address as the ledger holds it.",
            )
        return change

    def _holds(self, procedure: str, parameters: dict[str, Any]) -> list[Hold]:
        answer = call(self._client, procedure, parameters)
        with reading(procedure):
            if not isinstance(answer, list):
                raise TypeError("no list of holds")
            return [_hold(each) for each in answer]


def _hold(answer: Any) -> Hold:
    return Hold(
        user_address=answer["user_address"],
        held_at=moment(answer["held_at"]),
        held_by=answer["held_by"],
        reason=answer["reason"],
        audit_id=answer["audit_id"],
        released_at=moment_or_none(answer["released_at"]),
        released_by=answer["released_by"],
        release_reason=answer["release_reason"],
    )
