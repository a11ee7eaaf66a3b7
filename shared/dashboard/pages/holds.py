"""Who is held, and the forms that hold and release."""

from flask import Response

from shared.core.errors import UserNotFound
from shared.core.hold import HoldOutcome
from shared.dashboard.forms import FormFault, reason_of
from shared.dashboard.pages.users import user_path
from shared.dashboard.routing import Routes
from shared.dashboard.visit import Visit

routes = Routes()

PAGE_HOLDS = 50


@routes.get("/holds")
def holds_page(visit: Visit) -> Response:
    """One page of the active holds, by address, after the key `?after=`."""
    after = visit.args.get("after") or None
    found = visit.services.holds.list(after, PAGE_HOLDS + 1)
    shown = found[:PAGE_HOLDS]
    more = len(found) > PAGE_HOLDS
    return visit.page(
        "holds.html",
        holds=shown,
        next_url=visit.url("/holds", after=shown[-1].user_address) if more else None,
        first_url=after and visit.url("/holds"),
    )


@routes.post("/users/{address}/hold")
def hold(visit: Visit, address: str) -> Response:
    """No correction of this user until it is released."""
    back = user_path(address)
    try:
        change = visit.services.holds.hold(address, visit.admin, reason_of(visit.form))
    except (FormFault, UserNotFound) as fault:
        return visit.redirect(back, notice=str(fault), tone="bad")
    if change.outcome is HoldOutcome.ALREADY_HELD and change.hold is not None:
        notice = f"The user was held already, by {change.hold.held_by}."
        return visit.redirect(back, notice=notice, tone="plain")
    return visit.redirect(back, notice="The user is held: sweeps leave it alone.")


@routes.post("/users/{address}/release")
def release(visit: Visit, address: str) -> Response:
    """Corrections go on with the next sweep."""
    back = user_path(address)
    try:
        reason = reason_of(visit.form) if visit.form.get("reason", "").strip() else None
    except FormFault as fault:
        return visit.redirect(back, notice=str(fault), tone="bad")
    change = visit.services.holds.release(address, visit.admin, reason)
    if change.outcome is HoldOutcome.NOT_HELD:
        return visit.redirect(back, notice="The user was not held.", tone="plain")
    return visit.redirect(back, notice="Released: the next sweep looks at this user again.")
