"""Idempotency keys in Supabase: who carries a request out, and the answer that others get."""

from typing import Any

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.core.keyed_request import Begun, KeyedRequest, RequestState


class SupabaseIdempotency:
    """Implements the port `Idempotency` by the procedures of 012; every call may be repeated."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        answer = call(
            self._client,
            "begin_request",
            {
                **_named(request),
                "p_payload_hash": request.payload_hash,
                "p_ttl_s": ttl_s,
                "p_lease_s": lease_s,
            },
        )
        with reading("begin_request"):
            begun = Begun(
                state=RequestState(answer["state"]),
                status=answer["status"],
                body=answer["body"],
                wait_s=float(answer["wait_s"]),
            )
            if begun.state is RequestState.DONE:
                _check_answer(begun)
        return begun

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        answer = call(
            self._client,
            "finish_request",
            {**_named(request), "p_status": status, "p_body": body},
        )
        with reading("finish_request"):
            return bool(answer["stored"])

    def abandon(self, request: KeyedRequest) -> None:
        call(self._client, "abandon_request", _named(request))


def _named(request: KeyedRequest) -> dict[str, Any]:
    return {
        "p_key": request.key,
        "p_function": request.function,
        "p_actor": request.actor,
        "p_token": str(request.token),
    }


def _check_answer(begun: Begun) -> None:
    if not (isinstance(begun.status, int) and isinstance(begun.body, str)):
        raise TypeError("an answer without a status or a body")
