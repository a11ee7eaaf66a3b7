"""Runs of a period, and users of a run, found in Supabase."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.adapters.supabase_run_answers import results_of, run_of
from shared.adapters.supabase_run_refusals import run_not_found
from shared.core.errors import RunNotFound
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run
from shared.ports.run_search import ResultOrder


class SupabaseRunSearch:
    """Implements the port `RunSearch` by the procedures of 018."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_period_runs(
        self, since: datetime, until: datetime, after: UUID | None = None, limit: int = 100
    ) -> list[Run]:
        answer = self._call(
            "list_period_runs",
            {"p_since": since.isoformat(), "p_until": until.isoformat(), "p_limit": limit}
            | {"p_after": None if after is None else str(after)},
            asked=after,
        )
        with reading("list_period_runs"):
            if not isinstance(answer, list):
                raise TypeError("no list of runs")
            return [run_of(each) for each in answer]

    def count_rolled_back(self, run_id: UUID) -> int:
        answer = self._call("count_rolled_back", {"p_run_id": str(run_id)}, asked=run_id)
        if answer is None:
            raise run_not_found(run_id)
        with reading("count_rolled_back"):
            if not isinstance(answer, int):
                raise TypeError("no number")
            return answer

    def find_results(
        self,
        run_id: UUID,
        *,
        search: str | None = None,
        order: ResultOrder = ResultOrder.ADDRESS,
        after: str | None = None,
        limit: int = 100,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        answer = self._call(
            "find_reconciliation_results",
            {
                "p_run_id": str(run_id),
                "p_search": search,
                "p_order": order,
                "p_after": after,
                "p_limit": limit,
                "p_outcomes": None if outcomes is None else list(outcomes),
            },
            asked=run_id,
        )
        with reading("find_reconciliation_results"):
            return results_of(answer)

    def _call(self, procedure: str, parameters: dict[str, Any], *, asked: UUID | None) -> Any:
        answer = call(self._client, procedure, parameters)
        if isinstance(answer, dict) and answer.get("refused") == "run_not_found":
            raise RunNotFound(
                f"there is no run {asked}", remedy="Check its id against the list of runs."
            )
        return answer
