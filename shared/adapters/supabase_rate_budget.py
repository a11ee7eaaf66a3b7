"""A pace that all workers share: a budget of slots a second, kept in Supabase."""

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.ports.clock import Clock


class SupabaseRateBudget:
    """Implements the port `Pace`: each wait takes the next free slot and sleeps until then."""

    def __init__(self, client: Client, budget: str, per_s: float, clock: Clock) -> None:
        """`budget` names what shares one limit, such as an egress address; `per_s` slots a second
        for all of its users together."""
        self._client = client
        self._budget = budget
        self._per_s = per_s
        self._clock = clock

    def wait(self) -> None:
        """Return when the next call may be made. Raises LedgerError."""
        answer = call(
            self._client,
            "reserve_script_slots",
            {"p_budget": self._budget, "p_per_s": self._per_s},
        )
        with reading("reserve_script_slots"):
            wait_s = float(answer["wait_s"])
        if wait_s > 0:
            self._clock.sleep(wait_s)
