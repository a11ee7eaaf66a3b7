"""Start a run: a dry run, a sweep that asks before it writes, or one that corrects at once."""

from flask import Response

from shared.core.access import Permission
from shared.core.errors import RunActive
from shared.dashboard.forms import FormFault, check_typed, form_id, new_form_id
from shared.dashboard.routing import Routes
from shared.dashboard.run_work import worked_on
from shared.dashboard.visit import Visit

routes = Routes()

CONFIRMATION = "correct"


@routes.get("/runs/start", permission=Permission.WRITE)
def start_page(visit: Visit) -> Response:
    """The three forms."""
    return _page(visit)


@routes.post("/runs/start/dry-run")
def start_dry_run(visit: Visit) -> Response:
    """Finds what differs, writes nothing."""
    return _started(visit, dry_run=True)


@routes.post("/runs/start/asking")
def start_asking(visit: Visit) -> Response:
    """Corrects what differs, once somebody has seen how much that is."""
    return _started(visit, needs_approval=True)


@routes.post("/runs/start/sweep")
def start_sweep(visit: Visit) -> Response:
    """Corrects what differs, unless the safety stop objects."""
    try:
        check_typed(visit.form, CONFIRMATION)
    except FormFault as fault:
        return _page(visit, str(fault))
    return _started(visit)


def _started(visit: Visit, *, dry_run: bool = False, needs_approval: bool = False) -> Response:
    from shared.services.plan_run import RunRequest

    try:
        request = RunRequest(
            admin_address=visit.admin,
            dry_run=dry_run,
            needs_approval=needs_approval,
            run_id=form_id(visit.form),
        )
    except FormFault as fault:
        return _page(visit, str(fault))
    incremental = visit.form.get("whom") == "changed"
    try:
        run = visit.services.run_actions.start(request, incremental=incremental)
    except RunActive as error:
        return visit.redirect("/runs", notice=str(error), tone="bad")
    return worked_on(visit, run.run_id)


def _page(visit: Visit, fault: str = "") -> Response:
    return visit.page(
        "start.html",
        status=422 if fault else 200,
        fault=fault,
        form_id=new_form_id(),
        confirmation=CONFIRMATION,
        settle_s=visit.config.reconcile_settle_s,
    )
