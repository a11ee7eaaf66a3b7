"""A sweep worked in this process: plan, scan, review, ask, correct."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from shared.core.errors import RunNotFound
from shared.core.run import Run, RunState
from shared.core.sweep_result import SweepResult
from shared.ports.run_store import RunStore
from shared.services.deadline import ShouldStop
from shared.services.inline_run import InlineRunner, Progress
from shared.services.plan_run import RunPlanner, RunRequest
from shared.services.stored_results import StoredResults


@dataclass(frozen=True, slots=True)
class SweepHooks:
    """How a caller takes part: watch, stop between chunks, and allow the writes of a scan."""

    progress: Progress = lambda phase, done, total: None
    should_stop: ShouldStop = lambda: False
    may_write: Callable[[Run], bool] | None = None
    """Asked once after the scan and its review, when there is something to correct."""


class Sweeper:
    """Finds drift and, unless it is a dry run, corrects it. The run is stored at every step.

    Methods return one result for everyone who is not in sync, and the run whose counts add up.
    A halted, declined or cancelled run has written nothing: its candidates are `would_correct`.
    A stop while correcting leaves the run to be resumed. They raise RunActive when another run
    that writes is active, InvalidAdmin for a bad `admin_address`, and ReconcileError when the
    users cannot be listed or asked about at all; nothing is written then.
    """

    def __init__(self, store: RunStore, planner: RunPlanner, runner: InlineRunner) -> None:
        self._store = store
        self._planner = planner
        self._runner = runner

    def sweep(
        self,
        admin_address: str,
        *,
        dry_run: bool,
        incremental: bool = False,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult:
        """Everyone in the ledger, or with `incremental` those whom events name and a part of the
        others. `accept_halt`: the reason to go on even if the review would halt the run."""
        hooks = hooks or SweepHooks()
        plan = self._planner.incremental if incremental else self._planner.full
        request = _request(admin_address, hooks, dry_run=dry_run, accept_halt=accept_halt)
        return self._work(plan(request), hooks)

    def apply(
        self,
        run_id: UUID,
        admin_address: str,
        *,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult:
        """Correct what a dry run, or a run that was halted or declined, has found; a user whose
        ledger row has moved since is `changed_meanwhile`. Raises RunNotFound, RunNotApplicable."""
        hooks = hooks or SweepHooks()
        request = _request(admin_address, hooks, dry_run=False, accept_halt=accept_halt)
        return self._work(self._planner.of_plan(run_id, request), hooks)

    def resume(self, *, hooks: SweepHooks | None = None) -> SweepResult:
        """Go on with the run that is active, beside whoever else works it: a stop leaves it as it
        is, and so does an error, which is raised. Raises RunNotFound when there is none,
        RunActive when it is an incremental one that is still being planned."""
        hooks = hooks or SweepHooks()
        run = self._store.active_run()
        if run is None:
            raise RunNotFound(
                "no run is active, so there is nothing to resume",
                remedy="Start a new one without --resume.",
            )
        run = self._run(self._planner.go_on(run), hooks, fail_fast=False)
        if run.state is RunState.AWAITING_APPROVAL:
            run = self._run(self._approved(run, hooks), hooks, fail_fast=False)
        return self._result(run)

    def _work(self, run: Run, hooks: SweepHooks) -> SweepResult:
        run = self._run(run, hooks)
        if run.state is RunState.AWAITING_APPROVAL:
            run = self._run(self._approved(run, hooks), hooks)
        if run.state is RunState.SCANNING:  # stopped; nothing is written yet
            run = self._store.end_run(run.run_id, RunState.CANCELLED)
        return self._result(run)

    def _approved(self, run: Run, hooks: SweepHooks) -> Run:
        if hooks.may_write is None or hooks.may_write(run):
            return self._store.approve(run.run_id)
        return self._store.end_run(run.run_id, RunState.DECLINED)

    def _run(self, run: Run, hooks: SweepHooks, *, fail_fast: bool = True) -> Run:
        return self._runner.run(run.run_id, hooks.progress, hooks.should_stop, fail_fast=fail_fast)

    def _result(self, run: Run) -> SweepResult:
        return SweepResult(run, StoredResults(self._store, run.run_id))


def _request(
    admin_address: str, hooks: SweepHooks, *, dry_run: bool, accept_halt: str | None
) -> RunRequest:
    return RunRequest(
        admin_address=admin_address,
        dry_run=dry_run,
        needs_approval=hooks.may_write is not None and not dry_run,
        accept_halt=accept_halt,
    )
