"""Take one correction back: what that would do, then the form that confirms it."""

from flask import Response

from shared.core.access import Permission
from shared.core.rollback import Rollback, RollbackOutcome
from shared.dashboard.forms import FormFault, check_typed, reason_of
from shared.dashboard.pages.users import user_path
from shared.dashboard.routing import Routes
from shared.dashboard.texts import amount
from shared.dashboard.visit import Tone, Visit
from shared.http.problem import Problem

routes = Routes()

TYPED_CHARS = 8
PREVIEW = "preview"
"""The reason of a dry run: it is asked for, and kept nowhere."""


@routes.get("/users/{address}/rollback/{audit_id}", permission=Permission.WRITE)
def rollback_page(visit: Visit, address: str, audit_id: str) -> Response:
    """What would happen now."""
    return _page(visit, address, _found(visit, address, audit_id))


@routes.post("/users/{address}/rollback/{audit_id}")
def roll_back(visit: Visit, address: str, audit_id: str) -> Response:
    """Do it, and go back to the user."""
    found = _found(visit, address, audit_id)
    try:
        check_typed(visit.form, _typed(audit_id))
        reason = reason_of(visit.form)
    except FormFault as fault:
        return _page(visit, address, found, str(fault))
    done = visit.services.rollbacks.audit(audit_id, visit.admin, reason, dry_run=False)
    tone: Tone = "bad" if done.outcome is RollbackOutcome.REFUSED else "good"
    return visit.redirect(user_path(address), notice=_told(done), tone=tone)


def _found(visit: Visit, address: str, audit_id: str) -> Rollback:
    """The dry run. Raises a 404 Problem for a row of somebody else."""
    found = visit.services.rollbacks.audit(audit_id, visit.admin, PREVIEW, dry_run=True)
    if found.user_address != address:
        raise Problem(404, "not_found", "This user has no such audit row.")
    return found


def _page(visit: Visit, address: str, found: Rollback, fault: str = "") -> Response:
    return visit.page(
        "user_rollback.html",
        status=422 if fault else 200,
        found=found,
        path=user_path(address),
        typed=_typed(found.audit_id),
        reason=visit.form.get("reason", ""),
        fault=fault,
    )


def _typed(audit_id: str) -> str:
    """What confirms it; ids may be long."""
    return audit_id[:TYPED_CHARS]


def _told(done: Rollback) -> str:
    if done.outcome is RollbackOutcome.REFUSED:
        return f"Nothing was changed. {done.error}"
    by = f"audit row {done.rollback_audit_id}"
    if done.outcome is RollbackOutcome.ALREADY_ROLLED_BACK:
        return f"This correction was rolled back before, by {by}."
    was, now = amount(done.old_balance), amount(done.new_balance)
    return f"Rolled back from {was} to {now} FLOW by {by}. The user is held."
