"""The ledger in Supabase behind the port `Ledger`: procedures by supabase-py, amounts as text."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
from postgrest.exceptions import APIError
from supabase import Client, ClientOptions, create_client
from yarl import URL

from shared.adapters.supabase_errors import ledger_error, unauthorized
from shared.core.amount import FlowAmount, format_amount, parse_amount
from shared.core.compare import LedgerPage
from shared.core.errors import InvalidInput, LedgerBadAnswer, LedgerRefused
from shared.core.outcome import Outcome
from shared.ports import Correction, Written


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
            raise _bad_answer("count_user_balances")
        return count

    def list_balances(self, after: str | None, limit: int) -> LedgerPage:
        return _page(self._rpc("list_user_balances", {"p_after": after, "p_limit": limit}))

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        return _page(self._rpc("get_user_balances", {"p_user_addresses": list(user_addresses)}))

    def correct_user(
        self, correction: Correction, *, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        answer = self._rpc(
            "reconcile_user_balance",
            {
                "p_user_address": correction.user_address,
                "p_contract_balance": format_amount(correction.contract_balance),
                "p_admin_address": admin_address,
                "p_expected_balance": _text(correction.expected_balance),
                "p_block_height": block_height,
                "p_run_id": str(run_id),
            },
        )
        try:
            return _written_or_refused(answer)
        except (KeyError, TypeError) as error:
            raise _bad_answer("reconcile_user_balance") from error

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
                "p_contract_balances": [
                    format_amount(each.contract_balance) for each in corrections
                ],
                "p_expected_balances": [_text(each.expected_balance) for each in corrections],
                "p_block_height": block_height,
                "p_admin_address": admin_address,
                "p_run_id": str(run_id),
            },
        )
        columns = ("outcomes", "codes", "old_balances", "new_balances", "audit_ids")
        try:
            rows = zip(*(answer[column] for column in columns), strict=True)
            written = [_written(*row) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_answer("reconcile_user_balances") from error
        if len(written) != len(corrections):
            raise _bad_answer("reconcile_user_balances")
        return written

    def _rpc(self, procedure: str, parameters: dict[str, Any]) -> Any:
        try:
            return self._client.rpc(procedure, parameters).execute().data
        except (APIError, httpx.HTTPError) as error:
            raise ledger_error(error) from error


def _page(answer: Any) -> LedgerPage:
    # Anything else than two lists of one length is no empty ledger but a broken answer.
    try:
        addresses, balances = answer["user_addresses"], answer["balances"]
    except (KeyError, TypeError) as error:
        raise _bad_answer("the listing of balances") from error
    if not isinstance(addresses, list) or not isinstance(balances, list):
        raise _bad_answer("the listing of balances")
    if len(addresses) != len(balances):
        raise _bad_answer("the listing of balances")
    return LedgerPage(addresses, balances)


def _written_or_refused(answer: dict[str, Any]) -> Written:
    if not answer["success"]:
        raise LedgerRefused(
            f"the ledger refused the correction: {answer['error']}",
            remedy="Nothing was changed.",
            code=answer["code"],
        )
    in_sync = _amount(answer["discrepancy"]) == 0
    return Written(
        outcome=Outcome.IN_SYNC if in_sync else Outcome.CORRECTED,
        old_balance=_amount(answer["old_balance"]),
        new_balance=_amount(answer["new_balance"]),
        audit_id=answer["audit_id"],
    )


def _written(
    outcome: str, code: str | None, old: str | None, new: str | None, audit_id: str | None
) -> Written:
    return Written(
        outcome=Outcome(outcome),
        old_balance=_amount(old),
        new_balance=_amount(new),
        audit_id=audit_id,
        code=code,
        error=_EXPLANATIONS.get(code, f"the ledger refused the correction ({code})")
        if code
        else None,
    )


_EXPLANATIONS = {
    "changed_meanwhile": "The ledger row moved between read and write. The next sweep looks again.",
    "stale_height": "The row was written from a newer block than this. The next sweep looks again.",
    "invalid_balance": "The contract's balance is none that a ledger can hold.",
    "invalid_ledger_balance": "The stored balance is no amount. Reconcile this user on its own.",
}


def _amount(text: str | None) -> FlowAmount | None:
    try:
        return None if text is None else parse_amount(text)
    except (InvalidInput, TypeError) as error:
        raise _bad_answer("a procedure") from error


def _text(amount: FlowAmount | None) -> str | None:
    return None if amount is None else format_amount(amount)


def _bad_answer(who: str) -> LedgerBadAnswer:
    return LedgerBadAnswer(
        f"{who} answered in a form that this version does not know",
        remedy="Apply the supabase/migrations of this version.",
    )
