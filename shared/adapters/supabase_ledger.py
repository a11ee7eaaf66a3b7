"""The ledger in Supabase behind the port `Ledger`: procedures by supabase-py, amounts as text."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from supabase import Client, ClientOptions, create_client
from yarl import URL

from shared.adapters.supabase_errors import unauthorized
from shared.adapters.supabase_rpc import amount, amount_text, bad_answer, call, columns, reading
from shared.core.compare import LedgerPage
from shared.core.errors import LedgerRefused
from shared.core.outcome import Outcome
from shared.ports.ledger import Correction, Written


def connect(*, url: str, service_role_key: str, rest_url: str | None, timeout_s: float) -> Client:
    """A supabase client with our own timeouts. `rest_url`: PostgREST's address when it is not
    `url` + /rest/v1. Opens no connection yet."""
    http = httpx.Client(
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0)),
        event_hooks={"response": [_refuse_bad_key]},
    )
    options = ClientOptions(
        auto_refresh_token=False,
        persist_session=False,
        postgrest_client_retry=False,  # retries are the services' business
        httpx_client=http,
    )
    client = create_client(url, service_role_key, options)
    if rest_url:
        client.rest_url = URL(rest_url)
    return client


def _refuse_bad_key(response: httpx.Response) -> None:
    # The gateway's own refusals carry no code in their body, so the status is looked at here.
    if response.status_code in (401, 403):
        raise unauthorized(response.status_code)


class SupabaseLedger:
    """Calls the procedures of supabase/migrations; see docs/sql-api.md for their answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def count_users(self) -> int:
        count = self._rpc("count_user_balances", {})
        if not isinstance(count, int):
            raise bad_answer("count_user_balances")
        return count

    def list_balances(
        self, after: str | None, limit: int, through: str | None = None
    ) -> LedgerPage:
        parameters = {"p_after": after, "p_limit": limit, "p_through": through}
        return _page(self._rpc("list_user_balances", parameters))

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        return _page(self._rpc("get_user_balances", {"p_user_addresses": list(user_addresses)}))

    def correct_user(
        self, correction: Correction, *, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        answer = self._rpc(
            "reconcile_user_balance",
            {
                "p_user_address": correction.user_address,
                "p_contract_balance": amount_text(correction.contract_balance),
                "p_admin_address": admin_address,
                "p_expected_balance": amount_text(correction.expected_balance),
                "p_block_height": block_height,
                "p_run_id": str(run_id),
            },
        )
        with reading("reconcile_user_balance"):
            return _written_or_refused(answer)

    def correct_users(
        self,
        corrections: Sequence[Correction],
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> list[Written]:
        answer = self._rpc(
            "reconcile_user_balances",
            {
                "p_user_addresses": [each.user_address for each in corrections],
                "p_contract_balances": [amount_text(each.contract_balance) for each in corrections],
                "p_expected_balances": [amount_text(each.expected_balance) for each in corrections],
                "p_block_height": block_height,
                "p_admin_address": admin_address,
                "p_run_id": str(run_id),
            },
        )
        with reading("reconcile_user_balances"):
            rows = columns(answer, "outcomes", "codes", "old_balances", "new_balances", "audit_ids")
            written = [_written(*row) for row in rows]
        if len(written) != len(corrections):
            raise bad_answer("reconcile_user_balances")
        return written

    def _rpc(self, procedure: str, parameters: dict[str, Any]) -> Any:
        return call(self._client, procedure, parameters)


def _page(answer: Any) -> LedgerPage:
    # Anything else than two lists of one length is no empty ledger but a broken answer.
    with reading("the listing of balances"):
        addresses, balances = answer["user_addresses"], answer["balances"]
        held = answer["held"]
        if not all(isinstance(each, list) for each in (addresses, balances, held)):
            raise TypeError("a list is missing")
        if len(addresses) != len(balances):
            raise ValueError("the lists are not parallel")
        return LedgerPage(addresses, balances, held=frozenset(held))


def _written_or_refused(answer: dict[str, Any]) -> Written:
    if not answer["success"]:
        raise LedgerRefused(
            f"the ledger refused the correction: {answer['error']}",
            remedy="Nothing was changed.",
            code=answer["code"],
        )
    in_sync = amount(answer["discrepancy"]) == 0
    return Written(
        outcome=Outcome.IN_SYNC if in_sync else Outcome.CORRECTED,
        old_balance=amount(answer["old_balance"]),
        new_balance=amount(answer["new_balance"]),
        audit_id=answer["audit_id"],
    )


def _written(
    outcome: str, code: str | None, old: str | None, new: str | None, audit_id: str | None
) -> Written:
    return Written(
        outcome=Outcome(outcome),
        old_balance=amount(old),
        new_balance=amount(new),
        audit_id=audit_id,
        code=code,
        error=_EXPLANATIONS.get(code, f"the ledger refused the correction ({code})")
        if code
        else None,
    )


_EXPLANATIONS = {
    "changed_meanwhile": "The ledger row moved between read and write. The next sweep looks again.",
    "stale_height": "The row was written from a newer block than this. The next sweep looks again.",
    "user_held": "An admin holds this user.",
    "invalid_balance": "The contract's balance is none that a ledger can hold.",
    "invalid_ledger_balance": "The stored balance is no amount. Reconcile this user on its own.",
}
