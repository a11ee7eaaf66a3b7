"""Runs of the past and of now: list them, show one, end one."""

from uuid import UUID

from shared.core.run import Run, RunState
from shared.core.sweep_result import SweepResult
from shared.ports.run_store import RunStore
from shared.services.stored_results import StoredResults


class RunHistory:
    """What the run store keeps, for people to read."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def list(self, limit: int = 50, before: UUID | None = None) -> list[Run]:
        """The newest runs first, those that started before the run `before`."""
        return self._store.list_runs(before=before, limit=limit)

    def show(self, run_id: UUID) -> SweepResult:
        """A run and everyone in it who was not in sync. Raises RunNotFound."""
        return SweepResult(self._store.get_run(run_id), StoredResults(self._store, run_id))

    def covering(self) -> Run | None:
        """The finished run that wrote and covers the contract's changes the furthest."""
        return self._store.covering_run()

    def cancel(self, run_id: UUID) -> Run:
        """End an unfinished run; what it has corrected stays corrected.

        Raises RunNotFound, RunNotApplicable when it has ended already.
        """
        return self._store.end_run(run_id, RunState.CANCELLED)
