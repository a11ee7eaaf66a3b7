"""Carry out what a run has found: exactly those users, and who has moved since is left."""

from uuid import UUID

from flask import Response

from shared.core.access import Permission
from shared.core.errors import RunActive, RunNotApplicable
from shared.core.outcome import Outcome
from shared.core.run import Run
from shared.dashboard.forms import FormFault, check_typed, form_id, new_form_id, reason_of
from shared.dashboard.routing import Routes
from shared.dashboard.run_choices import choices_of
from shared.dashboard.run_work import worked_on
from shared.dashboard.visit import Visit

routes = Routes()


@routes.get("/runs/{run_id:uuid}/apply", permission=Permission.WRITE)
def apply_page(visit: Visit, run_id: UUID) -> Response:
    """What would be corrected, and the form that confirms it."""
    run = visit.services.runs.show(run_id).summary
    if not choices_of(run, works_in_line=True).apply:
        return _nothing_to_apply(visit, run)
    return _page(visit, run)


@routes.post("/runs/{run_id:uuid}/apply")
def apply_run(visit: Visit, run_id: UUID) -> Response:
    """Start the run that corrects them, and work on it."""
    from shared.services.plan_run import RunRequest
    from shared.services.run_actions import objection

    actions = visit.services.run_actions
    run = visit.services.runs.show(run_id).summary
    try:
        check_typed(visit.form, str(run.count(Outcome.WOULD_CORRECT)))
        reason = None if objection(run) is None else reason_of(visit.form)
        request = RunRequest(
            admin_address=visit.admin, accept_halt=reason, run_id=form_id(visit.form)
        )
    except FormFault as fault:
        return _page(visit, run, str(fault))
    try:
        started = actions.apply(run_id, request)
    except RunActive as error:
        return visit.redirect(f"/runs/{run_id}", notice=str(error), tone="bad")
    except RunNotApplicable:
        return _nothing_to_apply(visit, run)
    return worked_on(visit, started.run_id)


def _page(visit: Visit, run: Run, fault: str = "") -> Response:
    from shared.services.run_actions import objection

    return visit.page(
        "apply.html",
        status=422 if fault else 200,
        run=run,
        users=run.count(Outcome.WOULD_CORRECT),
        objection=objection(run),
        fault=fault,
        reason=visit.form.get("reason", ""),
        form_id=new_form_id(),
        age=visit.now - (run.scanned_at or run.started_at),
        settle_s=visit.config.reconcile_settle_s,
    )


def _nothing_to_apply(visit: Visit, run: Run) -> Response:
    notice = "This run has found nothing that is left to be corrected."
    return visit.redirect(f"/runs/{run.run_id}", notice=notice, tone="plain")
