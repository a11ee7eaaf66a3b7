"""The audit log's chains in Supabase, by the procedures of 014."""

from datetime import datetime
from typing import Any

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.core.audit_chain import AuditFault, fault_from
from shared.ports.audit_chain import AdoptedPage, ChainPage, HeadPage


class SupabaseAuditChain:
    """Implements the port `AuditChain`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def check_chains(
        self,
        after: tuple[str, int] | None,
        rows: int,
        *,
        user_address: str | None,
        until: datetime,
        digest: str,
    ) -> ChainPage:
        user, chain_no = after or (None, None)
        parameters = {
            "p_after_user": user,
            "p_after_chain_no": chain_no,
            "p_rows": rows,
            "p_user_address": user_address,
            "p_until": until.isoformat(),
            "p_digest": digest,
        }
        answer = call(self._client, "verify_audit_chains", parameters)
        with reading("verify_audit_chains"):
            through = answer["through_user"]
            return ChainPage(
                rows=int(answer["rows"]),
                users=int(answer["users"]),
                through=None if through is None else (through, int(answer["through_chain_no"])),
                faults=int(answer["faults"]),
                first_faults=_faults(answer),
                gaps=int(answer["gaps"]),
                unaudited=int(answer["unaudited"]),
                first_unaudited=tuple(answer["first_unaudited"]),
                unanchored=int(answer["unanchored"]),
                digest=str(answer["digest"]),
            )

    def check_heads(
        self, after: str | None, users: int, *, user_address: str | None, aside: bool
    ) -> HeadPage:
        parameters = {
            "p_after": after,
            "p_users": users,
            "p_user_address": user_address,
            "p_aside": aside,
        }
        answer = call(self._client, "verify_audit_heads", parameters)
        with reading("verify_audit_heads"):
            return HeadPage(
                heads=int(answer["heads"]),
                through=answer["through"],
                faults=int(answer["faults"]),
                first_faults=_faults(answer),
            )

    def check_adopted(self, after: str | None, rows: int, digest: str) -> AdoptedPage:
        parameters = {"p_after": after, "p_rows": rows, "p_digest": digest}
        answer = call(self._client, "verify_audit_adoption", parameters)
        with reading("verify_audit_adoption"):
            adopted_rows = answer["adopted_rows"]
            return AdoptedPage(
                rows=int(answer["rows"]),
                through=answer["through"],
                digest=str(answer["digest"]),
                adopted_rows=None if adopted_rows is None else int(adopted_rows),
                adopted_digest=answer["adopted_digest"],
                later_audit_id=answer["later_audit_id"],
            )


def _faults(answer: dict[str, Any]) -> tuple[AuditFault, ...]:
    return tuple(fault_from(each) for each in answer["first_faults"])
