"""What a person does to runs through requests, each of which may work only for a while."""

from typing import TYPE_CHECKING
from uuid import UUID

from shared.core.errors import InvalidInput
from shared.core.review import Halt, review
from shared.core.run import Run, RunState
from shared.ports.run_store import RunStore
from shared.services.deadline import ShouldStop
from shared.services.inline_run import InlineRunner
from shared.services.plan_run import RunPlanner, RunRequest

if TYPE_CHECKING:
    from shared.services.dispatch import Dispatcher

REASON_CHARS_MAX = 2_000
"""What the database keeps of the reason for which a halt is accepted."""


class RunActions:
    """Starts runs, carries out plans, allows and ends runs; none of it waits for a run's end.

    `go_on` works what is left until `should_stop` says so, or with a queue puts it there; the next
    one does the rest, and so does the next tick for a run that writes. An error of the work leaves
    the run as it is, and is raised as ReconcileError: a later request goes on.
    """

    def __init__(
        self,
        store: RunStore,
        planner: RunPlanner,
        runner: InlineRunner,
        dispatcher: "Dispatcher | None",
    ) -> None:
        self._store = store
        self._planner = planner
        self._runner = runner
        self._dispatcher = dispatcher

    @property
    def works_in_line(self) -> bool:
        """Is there no queue, so that a run moves only while a request or a tick works on it?"""
        return self._dispatcher is None

    def start(self, request: RunRequest, *, incremental: bool) -> Run:
        """Plan a run over everyone, or those whom events name. Nobody is looked at yet.

        Raises RunActive when it would write and another such run is not finished.
        """
        return (self._planner.incremental if incremental else self._planner.full)(request)

    def apply(self, run_id: UUID, request: RunRequest) -> Run:
        """Plan a run that corrects what `run_id` has found and did not write: exactly those users.

        What the safety stop objects to needs `request.accept_halt`; else InvalidInput. Raises
        RunNotFound, RunNotApplicable, RunActive.
        """
        halt = objection(self._store.get_run(run_id))
        if halt is not None and not (request.accept_halt or "").strip():
            raise InvalidInput(
                f"the safety stop objects: {halt.explanation}",
                remedy="Give the reason why this is drift all the same; it is kept with the run.",
            )
        return self._planner.of_plan(run_id, request)

    def approve(self, run_id: UUID) -> Run:
        """Allow the corrections of a run that waits for it. Raises RunNotApplicable, RunActive."""
        return self._store.approve(run_id)

    def decline(self, run_id: UUID) -> Run:
        """End a run that waits to be allowed; nothing is written. Raises RunNotApplicable."""
        return self._store.end_run(run_id, RunState.DECLINED)

    def cancel(self, run_id: UUID) -> Run:
        """End an unfinished run; what it has corrected stays corrected. Raises RunNotApplicable."""
        return self._store.end_run(run_id, RunState.CANCELLED)

    def go_on(self, run_id: UUID, should_stop: ShouldStop) -> Run:
        """Work on a run, or queue what is left of it; one that has ended is answered as it is.

        Raises RunNotFound, and RunActive while another planner has an incremental run.
        """
        run = self._store.get_run(run_id)
        if run.state is RunState.PLANNING:
            run = self._planner.go_on(run)
        if not run.is_active:
            return run
        if self._dispatcher is not None:
            return self._dispatcher.dispatch(run_id).run
        return self._runner.run(run_id, _silent, should_stop, fail_fast=False)


def objection(run: Run) -> Halt | None:
    """Why the safety stop would halt the corrections of what this run has found.

    A dry run never halts, so what would stop its plan is only seen here.
    """
    return run.halt or (review(run.scan_counts(), run.policy) if run.dry_run else None)


def _silent(phase: str, done: int, total: int | None) -> None:
    """Nobody watches: the run's page reads how far it is."""
