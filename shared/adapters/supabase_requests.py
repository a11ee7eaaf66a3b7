"""How often an actor may ask, counted in Supabase."""

from supabase import Client

from shared.adapters.supabase_rpc import call, reading


class SupabaseRequests:
    """Implements the port `RequestSlots` by the procedure of 012."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def take(self, actor: str, per_min: int) -> float:
        parameters = {"p_actor": actor, "p_per_min": per_min}
        answer = call(self._client, "take_request_slot", parameters)
        with reading("take_request_slot"):
            return float(answer["wait_s"])
