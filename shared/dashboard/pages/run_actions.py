"""What the buttons on a run's page do."""

from uuid import UUID

from flask import Response

from shared.core.errors import ReconcileError, RunActive, RunNotApplicable
from shared.dashboard.routing import Routes
from shared.dashboard.run_work import work_on, worked_on
from shared.dashboard.visit import Visit

routes = Routes()


@routes.post("/runs/{run_id:uuid}/continue")
def go_on(visit: Visit, run_id: UUID) -> Response:
    """Work on it for a while. The page's script, which says so, gets no page: 204, or what is
    wrong as text."""
    if "X-Live" not in visit.request.headers:
        return worked_on(visit, run_id)
    try:
        work_on(visit, run_id)
    except ReconcileError as error:
        return Response(str(error), 503, content_type="text/plain; charset=utf-8")
    return Response(status=204)


@routes.post("/runs/{run_id:uuid}/approve")
def approve(visit: Visit, run_id: UUID) -> Response:
    """Allow its corrections, and begin with them."""
    try:
        visit.services.run_actions.approve(run_id)
    except (RunActive, RunNotApplicable) as error:
        return _refused(visit, run_id, error)
    return worked_on(visit, run_id)


@routes.post("/runs/{run_id:uuid}/decline")
def decline(visit: Visit, run_id: UUID) -> Response:
    """End it before it writes."""
    try:
        visit.services.run_actions.decline(run_id)
    except RunNotApplicable as error:
        return _refused(visit, run_id, error)
    return visit.redirect(f"/runs/{run_id}", notice="Declined: nothing was written.")


@routes.post("/runs/{run_id:uuid}/cancel")
def cancel(visit: Visit, run_id: UUID) -> Response:
    """End it where it is."""
    try:
        visit.services.run_actions.cancel(run_id)
    except RunNotApplicable as error:
        return _refused(visit, run_id, error)
    notice = "Cancelled. What was corrected stays corrected."
    return visit.redirect(f"/runs/{run_id}", notice=notice)


def _refused(visit: Visit, run_id: UUID, error: Exception) -> Response:
    return visit.redirect(f"/runs/{run_id}", notice=str(error), tone="bad")
