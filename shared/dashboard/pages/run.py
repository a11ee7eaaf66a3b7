"""One run: how it stands, its counts, and everyone in it who was not in sync."""

from typing import Any
from uuid import UUID

from flask import Response

from shared.core.outcome import Outcome
from shared.core.run import Run
from shared.dashboard.query import choice_arg, text_arg
from shared.dashboard.routing import Routes
from shared.dashboard.standing import mode, standing
from shared.dashboard.visit import Visit
from shared.ports.run_search import ResultOrder

routes = Routes()

PAGE_RESULTS = 50
SEARCH_CHARS_MAX = 100
LIVE_EVERY_S = 3

FILTERED = tuple(outcome for outcome in Outcome if outcome is not Outcome.IN_SYNC)
"""Outcomes that results are stored with."""


@routes.get("/runs/latest")
def latest_run(visit: Visit) -> Response:
    """The newest run's page."""
    newest = next(iter(visit.services.runs.list(limit=1)), None)
    if newest is None:
        return visit.redirect("/runs")
    return visit.redirect(f"/runs/{newest.run_id}")


@routes.get("/runs/{run_id:uuid}")
def run_page(visit: Visit, run_id: UUID) -> Response:
    """The run, and the page of its results that the address asks for."""
    run = _run(visit, run_id)
    return visit.page("run.html", **_parts(run), **_results(visit, run))


@routes.get("/runs/{run_id:uuid}/live")
def run_progress(visit: Visit, run_id: UUID) -> Response:
    """What changes of a run while it is worked on, for the script."""
    run = _run(visit, run_id)
    response = visit.page("run_live.html", **_parts(run))
    if not run.is_active:
        response.headers["X-Live"] = "ended"
    return response


def _run(visit: Visit, run_id: UUID) -> Run:
    return visit.services.runs.show(run_id).summary


def _parts(run: Run) -> dict[str, Any]:
    return {
        "run": run,
        "mode": mode(run),
        "standing": standing(run),
        "counted": [(outcome, run.count(outcome)) for outcome in Outcome],
        "every_s": LIVE_EVERY_S,
    }


def _results(visit: Visit, run: Run) -> dict[str, Any]:
    """One page of them: searched, filtered and sorted as the address says."""
    search = text_arg(visit, "q", SEARCH_CHARS_MAX)
    outcome = choice_arg(visit, "outcome", Outcome)
    order = choice_arg(visit, "order", ResultOrder) or ResultOrder.ADDRESS
    after = visit.args.get("after") or None
    found = visit.services.run_search.find_results(
        run.run_id,
        search=search or None,
        order=order,
        after=after,
        limit=PAGE_RESULTS + 1,
        outcomes=None if outcome is None else [outcome],
    )
    shown = found[:PAGE_RESULTS]
    path = f"/runs/{run.run_id}"
    asked = {"q": search, "outcome": outcome, "order": None if _is_default(order) else order}
    more = len(found) > PAGE_RESULTS
    return {
        "results": shown,
        "asked": {"q": search, "outcome": outcome, "order": order},
        "filters": FILTERED,
        "orders": tuple(ResultOrder),
        "next_url": visit.url(path, **asked, after=shown[-1].user_address) if more else None,
        "first_url": visit.url(path, **asked) if after else None,
    }


def _is_default(order: ResultOrder) -> bool:
    return order is ResultOrder.ADDRESS
