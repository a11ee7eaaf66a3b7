"""Take back what a run has corrected: count, confirm, then as much a request as there is time.

What is left after a request is on a signed link: who follows it need not confirm again.
"""

from dataclasses import dataclass
from uuid import UUID

from flask import Response

from shared.core.access import Permission
from shared.core.amount import FlowAmount
from shared.core.errors import RunNotApplicable
from shared.core.rollback import RollbackOutcome, RunRollback
from shared.dashboard.forms import FormFault, check_typed, reason_of
from shared.dashboard.pages.user_rollback import PREVIEW
from shared.dashboard.routing import Routes
from shared.dashboard.run_work import until_page
from shared.dashboard.signing import Signer
from shared.dashboard.texts import count, short_id, signed_amount
from shared.dashboard.visit import Visit, quoted
from shared.http.problem import Problem

routes = Routes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A rollback that has more to do: why, what it has done, and after which key it goes on."""

    reason: str
    after: str
    rolled_back: int
    amount: FlowAmount


@routes.get("/runs/{run_id:uuid}/rollback", permission=Permission.WRITE)
def rollback_page(visit: Visit, run_id: UUID) -> Response:
    """What would happen now, or how far it is."""
    if "state" in visit.args:
        progress = _progress(visit, run_id, visit.args["state"])
        return visit.page(
            "run_rollback_progress.html",
            run_id=run_id,
            progress=progress,
            state=visit.args["state"],
        )
    return _page(visit, run_id)


@routes.post("/runs/{run_id:uuid}/rollback")
def roll_back(visit: Visit, run_id: UUID) -> Response:
    """Begin with it."""
    try:
        check_typed(visit.form, short_id(run_id))
        reason = reason_of(visit.form)
    except FormFault as fault:
        return _page(visit, run_id, str(fault))
    return _worked(visit, run_id, reason)


@routes.post("/runs/{run_id:uuid}/rollback/continue")
def go_on(visit: Visit, run_id: UUID) -> Response:
    """Go on where the request before has stopped."""
    progress = _progress(visit, run_id, visit.form.get("state", ""))
    return _worked(visit, run_id, progress.reason, progress)


def _worked(visit: Visit, run_id: UUID, reason: str, before: Progress | None = None) -> Response:
    path = f"/runs/{run_id}/rollback"
    try:
        done = visit.services.rollbacks.run(
            run_id,
            visit.admin,
            reason,
            dry_run=False,
            after=None if before is None else before.after,
            should_stop=until_page(visit),
        )
    except RunNotApplicable as error:
        return visit.redirect(f"/runs/{run_id}", notice=str(error), tone="bad")
    rolled_back = done.outcomes[RollbackOutcome.ROLLED_BACK]
    moved = done.amount
    if before is not None:
        rolled_back += before.rolled_back
        moved = FlowAmount(moved + before.amount)
    if done.complete or done.through is None:
        notice = f"Rolled back: {count(rolled_back)} corrections, {signed_amount(moved)} FLOW."
        return visit.redirect(path, notice=f"{notice} Their users are held.")
    values = [visit.holder, str(run_id), reason, done.through, rolled_back, int(moved)]
    return visit.redirect(f"{path}?state={quoted(_signer(visit).sign(values))}")


def _page(visit: Visit, run_id: UUID, fault: str = "") -> Response:
    run = visit.services.runs.show(run_id).summary
    try:
        found: RunRollback = visit.services.rollbacks.run(
            run_id, visit.admin, PREVIEW, dry_run=True, should_stop=until_page(visit)
        )
    except RunNotApplicable as error:
        return visit.redirect(f"/runs/{run_id}", notice=str(error), tone="bad")
    return visit.page(
        "run_rollback.html",
        status=422 if fault else 200,
        run=run,
        found=found,
        reason=visit.form.get("reason", ""),
        fault=fault,
    )


def _progress(visit: Visit, run_id: UUID, state: str) -> Progress:
    """Raises a 403 Problem for a link that is another session's or another run's."""
    values = _signer(visit).read(state)
    if not isinstance(values, list) or values[:2] != [visit.holder, str(run_id)]:
        raise Problem(
            403, "form_refused", "This link is not of your session. Begin the rollback again."
        )
    _, _, reason, after, rolled_back, moved = values
    return Progress(reason=reason, after=after, rolled_back=rolled_back, amount=FlowAmount(moved))


def _signer(visit: Visit) -> Signer:
    return Signer(visit.secret, "rollback")
