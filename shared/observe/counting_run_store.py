"""A run store that counts for the invocation at hand. Only what was stored is counted, so a message
that comes twice counts once."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from shared.core.errors import ReconcileError
from shared.core.outcome import ReconciliationResult
from shared.core.review import Halt
from shared.core.run import Closed, Lease, Requeued, Run, RunPlan, RunState
from shared.observe.context import current, note_run
from shared.observe.metrics import Metric
from shared.ports.run_store import RunStore, ScanFound


def counting_run_store(store: RunStore) -> RunStore:
    """The same store, which counts the chunks that are closed and the runs that end."""
    return cast(RunStore, _Counting(store))


class _Counting:
    def __init__(self, store: RunStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def start_run(self, plan: RunPlan) -> Run:
        run = self._store.start_run(plan)
        note_run(run.run_id)
        return run

    def get_run(self, run_id: UUID) -> Run:
        note_run(run_id)
        return self._store.get_run(run_id)

    def close_scan(self, lease: Lease, found: ScanFound) -> Closed:
        closed = self._store.close_scan(lease, found)
        if closed.accepted and (invocation := current()) is not None:
            invocation.count(Metric.USERS_CHECKED, found.users)
            invocation.count(Metric.DISCREPANCIES, len(found.candidates) + len(found.held))
            invocation.count_outcomes(closed.outcomes)
        return closed

    def close_correction(
        self, lease: Lease, results: Sequence[ReconciliationResult], script_calls: int
    ) -> Closed:
        closed = self._store.close_correction(lease, results, script_calls)
        if closed.accepted and (invocation := current()) is not None:
            invocation.count_outcomes(closed.outcomes)
            _count_end(closed.state)
        return closed

    def fail_attempt(self, lease: Lease, error: ReconcileError, *, attempts_max: int) -> Closed:
        closed = self._store.fail_attempt(lease, error, attempts_max=attempts_max)
        if closed.accepted and (invocation := current()) is not None:
            invocation.count_outcomes(closed.outcomes)
            _count_end(closed.state)
        return closed

    def requeue(self, run_id: UUID, *, older_than_s: float, attempts_max: int) -> Requeued:
        requeued = self._store.requeue(run_id, older_than_s=older_than_s, attempts_max=attempts_max)
        if requeued.gave_up and (invocation := current()) is not None:
            invocation.count_outcomes(requeued.outcomes)
            _count_end(requeued.state)
        return requeued

    def decide(self, run_id: UUID, halt: Halt | None) -> Run:
        """Called while the run is scanning; two workers at once may both count its end."""
        run = self._store.decide(run_id, halt)
        if not run.dry_run:
            _count_end(run.state)
        return run


def _count_end(state: RunState) -> None:
    if (invocation := current()) is None:
        return
    if state is RunState.FINISHED:
        invocation.count(Metric.RUNS_FINISHED)
    elif state is RunState.HALTED:
        invocation.count(Metric.RUNS_HALTED)
