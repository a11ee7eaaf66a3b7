"""Runs in Supabase behind the port `RunStore`: procedures by supabase-py, amounts as text."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import amount_text, call, reading
from shared.adapters.supabase_run_answers import (
    candidates_of,
    closed_of,
    leased_of,
    requeued_of,
    results_of,
    run_of,
)
from shared.adapters.supabase_run_refusals import refusal_of, run_not_found
from shared.core.compare import Candidate, Failure
from shared.core.errors import ReconcileError, UserHeld
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import ChunkRef, Closed, Lease, Leased, Requeued, Run, RunPlan, RunState
from shared.ports.run_store import ScanFound


class SupabaseRunStore:
    """Calls the procedures of supabase/migrations; see docs/sql-api.md for their answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- the life of a run --------------------------------------------------------------------

    def start_run(self, plan: RunPlan) -> Run:
        return self._run(
            "start_reconciliation_run",
            {
                "p_run_id": str(plan.run_id),
                "p_kind": plan.kind,
                "p_dry_run": plan.dry_run,
                "p_admin_address": plan.admin_address,
                "p_policy": plan.policy.as_json(),
                "p_needs_approval": plan.needs_approval,
                "p_accepted_halt": plan.accepted_halt,
                "p_plan_run_id": None if plan.plan_run_id is None else str(plan.plan_run_id),
                "p_covered_height": plan.covered_height,
                "p_from_height": plan.from_height,
                "p_rotate_after": plan.rotate_after,
                "p_fallback_reason": plan.fallback_reason,
            },
        )

    def decide(self, run_id: UUID, halt: Halt | None) -> Run:
        parameters: dict[str, Any] = {"p_run_id": str(run_id)}
        if halt is not None:
            parameters |= {
                "p_halt_reason": halt.reason,
                "p_halt_explanation": halt.explanation,
                "p_halt_remedy": halt.remedy,
            }
        return self._run("decide_reconciliation_run", parameters)

    def approve(self, run_id: UUID) -> Run:
        return self._run("approve_reconciliation_run", {"p_run_id": str(run_id)})

    def end_run(self, run_id: UUID, state: RunState, error: ReconcileError | None = None) -> Run:
        return self._run(
            "end_reconciliation_run",
            {
                "p_run_id": str(run_id),
                "p_state": state,
                "p_error_code": None if error is None else error.code,
                "p_error": None if error is None else str(error),
            },
        )

    # -- a run's chunks -----------------------------------------------------------------------

    def add_user_chunk(self, run_id: UUID, chunk_no: int, user_addresses: Sequence[str]) -> None:
        answer = self._call(
            "add_reconciliation_chunk",
            {
                "p_run_id": str(run_id),
                "p_chunk_no": chunk_no,
                "p_user_addresses": list(user_addresses),
            },
        )
        with reading("add_reconciliation_chunk"):
            int(answer["chunks"])

    def plan_chunks(self, run_id: UUID, *, chunk_users: int, chunks_max: int | None) -> Run:
        return self._run(
            "plan_reconciliation_chunks",
            {"p_run_id": str(run_id), "p_chunk_users": chunk_users, "p_chunks_max": chunks_max},
        )

    def lease_chunks(
        self,
        run_id: UUID,
        *,
        lease_s: float,
        limit: int = 1,
        attempts_max: int,
        ref: ChunkRef | None = None,
    ) -> Leased:
        answer = self._call(
            "lease_reconciliation_chunks",
            {
                "p_run_id": str(run_id),
                "p_lease_s": lease_s,
                "p_limit": limit,
                "p_attempts_max": attempts_max,
                "p_phase": None if ref is None else ref.phase,
                "p_chunk_no": None if ref is None else ref.chunk_no,
            },
        )
        with reading("lease_reconciliation_chunks"):
            return leased_of(run_id, answer)

    def release(self, lease: Lease) -> None:
        answer = self._call("release_reconciliation_chunk", _phase_of(lease))
        with reading("release_reconciliation_chunk"):
            bool(answer["released"])

    def requeue(self, run_id: UUID, *, older_than_s: float, attempts_max: int) -> Requeued:
        answer = self._call(
            "requeue_reconciliation_chunks",
            {
                "p_run_id": str(run_id),
                "p_older_than_s": older_than_s,
                "p_attempts_max": attempts_max,
            },
        )
        with reading("requeue_reconciliation_chunks"):
            return requeued_of(run_id, answer)

    # -- closing them -------------------------------------------------------------------------

    def close_scan(self, lease: Lease, found: ScanFound) -> Closed:
        differing, failures = [*found.candidates, *found.held], found.failures
        listed: list[Candidate | Failure] = [*differing, *failures]
        none = [None] * len(failures)
        errors: list[ReconcileError | None] = [None] * len(found.candidates)
        errors += [UserHeld(each.user_address) for each in found.held]
        errors += [each.error for each in failures]
        return self._closed(
            "close_reconciliation_scan",
            _chunk_of(lease)
            | {
                "p_users": found.users,
                "p_in_sync": found.in_sync,
                "p_funded": found.funded,
                "p_funded_reading_zero": found.funded_reading_zero,
                "p_first_height": found.first_height,
                "p_last_height": found.last_height,
                "p_script_calls": found.script_calls,
                "p_user_addresses": [each.user_address for each in listed],
                "p_row_exists": [*(each.row_exists for each in differing), *none],
                "p_ledger_balances": [amount_text(each.ledger_balance) for each in listed],
                "p_contract_balances": [
                    *(amount_text(each.contract_balance) for each in differing),
                    *none,
                ],
                "p_heights": [*(each.block_height for each in differing), *none],
                "p_error_codes": [error and error.code for error in errors],
                "p_errors": [error and str(error) for error in errors],
            },
        )

    def list_candidates(self, lease: Lease) -> list[Candidate]:
        answer = self._call(
            "list_reconciliation_candidates",
            {"p_run_id": str(lease.ref.run_id), "p_chunk_no": lease.ref.chunk_no},
        )
        with reading("list_reconciliation_candidates"):
            return candidates_of(answer)

    def close_correction(
        self, lease: Lease, results: Sequence[ReconciliationResult], script_calls: int
    ) -> Closed:
        return self._closed(
            "close_reconciliation_correction",
            _chunk_of(lease)
            | {
                "p_user_addresses": [each.user_address for each in results],
                "p_outcomes": [each.outcome for each in results],
                "p_contract_balances": [amount_text(each.new_balance) for each in results],
                "p_ledger_balances": [amount_text(each.old_balance) for each in results],
                "p_heights": [each.block_height for each in results],
                "p_error_codes": [each.error_code for each in results],
                "p_errors": [each.error for each in results],
                "p_script_calls": script_calls,
            },
        )

    def fail_attempt(self, lease: Lease, error: ReconcileError, *, attempts_max: int) -> Closed:
        return self._closed(
            "fail_reconciliation_chunk",
            _phase_of(lease)
            | {
                "p_error_code": error.code,
                "p_error": str(error),
                "p_attempts_max": attempts_max,
            },
        )

    # -- reading ------------------------------------------------------------------------------

    def get_run(self, run_id: UUID) -> Run:
        answer = self._call("get_reconciliation_run", {"p_run_id": str(run_id)})
        if answer is None:
            raise run_not_found(run_id)
        with reading("get_reconciliation_run"):
            return run_of(answer)

    def list_runs(self, *, before: UUID | None = None, limit: int = 50) -> list[Run]:
        answer = self._call(
            "list_reconciliation_runs",
            {"p_before": None if before is None else str(before), "p_limit": limit},
        )
        with reading("list_reconciliation_runs"):
            if not isinstance(answer, list):
                raise TypeError("no list of runs")
            return [run_of(each) for each in answer]

    def active_run(self) -> Run | None:
        return self._run_or_none("active_reconciliation_run")

    def covering_run(self) -> Run | None:
        return self._run_or_none("covering_reconciliation_run")

    def list_results(
        self,
        run_id: UUID,
        *,
        after: str | None,
        limit: int,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        answer = self._call(
            "list_reconciliation_results",
            {"p_run_id": str(run_id), "p_after": after, "p_limit": limit}
            | {"p_outcomes": None if outcomes is None else list(outcomes)},
        )
        with reading("list_reconciliation_results"):
            return results_of(answer)

    def count_results(self, run_id: UUID, outcomes: Sequence[Outcome] | None = None) -> int:
        answer = self._call(
            "count_reconciliation_results",
            {
                "p_run_id": str(run_id),
                "p_outcomes": None if outcomes is None else list(outcomes),
            },
        )
        if answer is None:
            raise run_not_found(run_id)
        with reading("count_reconciliation_results"):
            if not isinstance(answer, int):
                raise TypeError("no number")
            return answer

    # -- calling ------------------------------------------------------------------------------

    def _run(self, procedure: str, parameters: dict[str, Any]) -> Run:
        answer = self._call(procedure, parameters)
        with reading(procedure):
            return run_of(answer)

    def _run_or_none(self, procedure: str) -> Run | None:
        answer = self._call(procedure, {})
        with reading(procedure):
            return None if answer is None else run_of(answer)

    def _closed(self, procedure: str, parameters: dict[str, Any]) -> Closed:
        answer = self._call(procedure, parameters)
        with reading(procedure):
            return closed_of(answer)

    def _call(self, procedure: str, parameters: dict[str, Any]) -> Any:
        answer = call(self._client, procedure, parameters)
        refusal = refusal_of(procedure, answer, _asked_for(parameters))
        if refusal is not None:
            raise refusal
        return answer


def _chunk_of(lease: Lease) -> dict[str, Any]:
    return {
        "p_run_id": str(lease.ref.run_id),
        "p_chunk_no": lease.ref.chunk_no,
        "p_token": str(lease.token),
    }


def _phase_of(lease: Lease) -> dict[str, Any]:
    return _chunk_of(lease) | {"p_phase": lease.ref.phase}


def _asked_for(parameters: dict[str, Any]) -> str:
    # Of several runs in one call, the one that has to be there.
    names = ("p_plan_run_id", "p_before", "p_run_id")
    return str(next((parameters[name] for name in names if parameters.get(name)), None))
