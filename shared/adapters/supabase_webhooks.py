"""The indexer's messages in Supabase: who works one, and the answer that a replay gets."""

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.core.keyed_request import Begun, KeyedRequest, RequestState


class SupabaseWebhooks:
    """Implements the port `Idempotency` by the procedures of 013; every call may be repeated.

    A message is known by its key alone, whichever function and actor the request names.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        answer = call(
            self._client,
            "begin_webhook",
            {
                **_named(request),
                "p_payload_hash": request.payload_hash,
                "p_ttl_s": ttl_s,
                "p_lease_s": lease_s,
            },
        )
        with reading("begin_webhook"):
            begun = Begun(
                state=RequestState(answer["state"]),
                status=answer["status"],
                body=answer["body"],
                wait_s=float(answer["wait_s"]),
            )
            if begun.state is RequestState.DONE and not (begun.status and begun.body):
                raise TypeError("an answer without a status or a body")
        return begun

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        answer = call(
            self._client, "finish_webhook", {**_named(request), "p_status": status, "p_body": body}
        )
        with reading("finish_webhook"):
            return bool(answer["stored"])

    def abandon(self, request: KeyedRequest) -> None:
        call(self._client, "abandon_webhook", _named(request))


def _named(request: KeyedRequest) -> dict[str, str]:
    return {"p_message_id": request.key, "p_token": str(request.token)}
