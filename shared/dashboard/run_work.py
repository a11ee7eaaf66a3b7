"""Requests that work on a run: for a while, and then the run's page shows how far it is."""

from uuid import UUID

from flask import Response

from shared.core.errors import ReconcileError
from shared.core.run import Run, RunState
from shared.dashboard.texts import words
from shared.dashboard.visit import Visit
from shared.services.deadline import ShouldStop

WORK_S = 10.0
"""A person waits for the page: a request works for half of this, and has half for what is begun."""


def until_page(visit: Visit) -> ShouldStop:
    """Says when a request has to come to an end."""
    from shared.services.deadline import before_deadline

    left_s = min(WORK_S, visit.config.reconcile_deadline_s)
    return before_deadline(visit.services.clock, left_s)


def work_on(visit: Visit, run_id: UUID) -> Run:
    """Work on a run, and let people know if it has ended. Raises ReconcileError."""
    run = visit.services.run_actions.go_on(run_id, until_page(visit))
    if not run.is_active and not run.dry_run:
        visit.services.announcer.announce_quietly()
    return run


def worked_on(visit: Visit, run_id: UUID) -> Response:
    """The same, and then to the run's page; what stops the work is told there."""
    path = f"/runs/{run_id}"
    try:
        run = work_on(visit, run_id)
    except ReconcileError as error:
        return visit.redirect(path, notice=f"The work was interrupted: {error}", tone="bad")
    if run.is_active:
        return visit.redirect(path, notice="The run is under way.", tone="plain")
    if run.state is RunState.HALTED:
        notice = "The safety stop has halted this run. Nothing was written."
        return visit.redirect(path, notice=notice, tone="bad")
    return visit.redirect(path, notice=f"The run is {words(run.state)}.")
