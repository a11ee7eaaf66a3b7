"""The vault against the ledger, over time."""

from collections.abc import Sequence
from uuid import UUID

from flask import Response

from shared.core.solvency import SolvencyCheck
from shared.dashboard.charts import Chart, LinePoint, line_chart
from shared.dashboard.query import uuid_arg
from shared.dashboard.routing import Routes
from shared.dashboard.texts import signed_amount
from shared.dashboard.visit import Visit

routes = Routes()

PAGE_CHECKS = 50
CHART_CHECKS = 300
FORM_RESERVE_S = 3.0
"""Of the time that a request may take, what its page needs."""


@routes.get("/solvency")
def solvency_page(visit: Visit) -> Response:
    """The latest check, the difference over time, and the checks before `?before=`."""
    before = uuid_arg(visit, "before")
    recent = visit.services.solvency.list(limit=CHART_CHECKS)
    listed = recent if before is None else _before(visit, before)
    shown = listed[:PAGE_CHECKS]
    more = len(listed) > PAGE_CHECKS
    return visit.page(
        "solvency.html",
        check=recent[0] if recent else None,
        chart=difference_chart(recent),
        checks=shown,
        next_url=visit.url("/solvency", before=shown[-1].check_id) if more else None,
        first_url=before and visit.url("/solvency"),
    )


@routes.post("/solvency/check")
def check_now(visit: Visit) -> Response:
    """Look at both sides now; the check is stored, and people are told as by the schedule."""
    left_s = visit.config.reconcile_deadline_s - FORM_RESERVE_S
    check = visit.services.solvency.check(visit.admin, left_s=left_s)
    said = f"The check is made: {str(check.state).replace('_', ' ')}."
    return visit.redirect("/solvency", notice=said, tone="plain")


def difference_chart(checks: Sequence[SolvencyCheck]) -> Chart | None:
    """Vault − ledger over time, and the contract's total − ledger if it ever differs; the newest
    check first. None when nothing was read yet."""
    oldest_first = list(reversed(checks))
    vault = [LinePoint(each.checked_at, each.difference) for each in oldest_first]
    contract = [LinePoint(each.checked_at, each.contract_difference) for each in oldest_first]
    known = [each.units for each in vault if each.units is not None]
    if not known:
        return None
    lines = [("line", vault)]
    if any(each.units for each in contract):
        lines.insert(0, ("other", contract))
    return line_chart(
        lines,
        f"Vault minus ledger in the last {len(checks)} checks; the last one read:"
        f" {signed_amount(known[-1])} FLOW.",
    )


def _before(visit: Visit, before: UUID) -> list[SolvencyCheck]:
    return visit.services.solvency.list(before=before, limit=PAGE_CHECKS + 1)
