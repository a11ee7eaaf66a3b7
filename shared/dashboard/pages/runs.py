"""All runs, the newest first."""

from flask import Response

from shared.dashboard.query import uuid_arg
from shared.dashboard.routing import Routes
from shared.dashboard.visit import Visit

routes = Routes()

PAGE_RUNS = 25


@routes.get("/runs")
def runs_page(visit: Visit) -> Response:
    """One page of them, those before the run `?before=`."""
    before = uuid_arg(visit, "before")
    found = visit.services.runs.list(limit=PAGE_RUNS + 1, before=before)
    shown = found[:PAGE_RUNS]
    next_url = visit.url("/runs", before=shown[-1].run_id) if len(found) > PAGE_RUNS else None
    return visit.page(
        "runs.html", runs=shown, next_url=next_url, first_url=before and visit.url("/runs")
    )
