"""What a schedule calls: go on with the run that is unfinished, or start the next one."""

from dataclasses import dataclass

from shared.core.errors import RunActive
from shared.core.run import Run, RunKind, RunState
from shared.ports.clock import Clock
from shared.ports.run_store import RunStore
from shared.services.deadline import ShouldStop
from shared.services.dispatch import Dispatcher
from shared.services.inline_run import InlineRunner
from shared.services.plan_run import RunPlanner, RunRequest

PLANNING_S_MAX = 900.0
"""Age at which a run that is still being planned is taken for abandoned by its planner."""
_RECENT_RUNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a tick did. `resumed`: the run was there already; `queued`: messages sent now."""

    run: Run
    resumed: bool
    queued: int


class Ticker:
    """Plans or resumes runs; the chunks go to the queue, or without one are worked right here."""

    def __init__(
        self,
        store: RunStore,
        planner: RunPlanner,
        runner: InlineRunner,
        dispatcher: Dispatcher | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._planner = planner
        self._runner = runner
        self._dispatcher = dispatcher
        self._clock = clock

    def tick(self, request: RunRequest, *, incremental: bool, should_stop: ShouldStop) -> Tick:
        """Resume the unfinished run of the kind asked for (dry or not), else start one.

        An unfinished incremental run ends for a full one, which looks at all that it would have.
        Without a queue, works until `should_stop`, or until a chunk cannot be worked; the next
        tick goes on from there. Raises ReconcileError then, or when nothing could be started.
        """
        run = self._unfinished(request, incremental=incremental)
        resumed = run is not None
        if run is None:
            run, resumed = self._start(request, incremental=incremental)
        if run.state is RunState.PLANNING:
            return Tick(run=run, resumed=True, queued=0)  # another tick is at it
        if self._dispatcher is None:
            run = self._runner.run(
                run.run_id, lambda phase, done, total: None, should_stop, fail_fast=False
            )
            return Tick(run=run, resumed=resumed, queued=0)
        dispatched = self._dispatcher.dispatch(run.run_id)
        return Tick(run=dispatched.run, resumed=resumed, queued=dispatched.sent)

    def _start(self, request: RunRequest, *, incremental: bool) -> tuple[Run, bool]:
        """A run, and whether it was there already."""
        plan = self._planner.incremental if incremental else self._planner.full
        try:
            return plan(request), False
        except RunActive:
            active = self._store.active_run()  # another tick was quicker
            if active is None:
                raise
            return active, True

    def _unfinished(self, request: RunRequest, *, incremental: bool) -> Run | None:
        run = self._open_run(dry_run=request.dry_run)
        if run is None:
            return None
        if self._is_abandoned(run) or (run.kind is RunKind.INCREMENTAL and not incremental):
            self._store.end_run(run.run_id, RunState.CANCELLED)
            return None
        return run

    def _is_abandoned(self, run: Run) -> bool:
        # Half a plan is no plan: nobody has been looked at, so nothing is lost with it.
        age_s = (self._clock.now() - run.started_at).total_seconds()
        return run.state is RunState.PLANNING and age_s >= PLANNING_S_MAX

    def _open_run(self, *, dry_run: bool) -> Run | None:
        if not dry_run:
            return self._store.active_run()
        recent = self._store.list_runs(limit=_RECENT_RUNS)
        return next((run for run in recent if run.dry_run and run.is_active), None)
