"""How far the scheduled verification is, in Supabase, by the procedures of 014."""

from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import call, moment, reading
from shared.ports.audit_round import AuditRound


class SupabaseAuditRound:
    """Implements the port `AuditRoundStore`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self) -> AuditRound | None:
        answer = call(self._client, "get_audit_round", {})
        if answer is None:
            return None
        with reading("get_audit_round"):
            last_found = answer["last_found"]
            return AuditRound(
                step=int(answer["step"]),
                started_at=moment(answer["started_at"]),
                kept_at=moment(answer["kept_at"]),
                found=dict(answer["found"]),
                last_found=None if last_found is None else dict(last_found),
            )

    def keep(self, step: int, token: UUID, found: dict[str, Any], *, begins: bool) -> bool:
        parameters = {
            "p_step": step,
            "p_token": str(token),
            "p_found": found,
            "p_begins": begins,
        }
        answer = call(self._client, "keep_audit_round", parameters)
        with reading("keep_audit_round"):
            return bool(answer["stored"])
