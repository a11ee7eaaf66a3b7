"""What people are told of: what holds now, what could not be sent, and what was."""

from flask import Response

from shared.dashboard.query import uuid_arg
from shared.dashboard.routing import Routes
from shared.dashboard.visit import Visit

routes = Routes()

PAGE_ALERTS = 25
OPEN_MAX = 50
UNDELIVERED_MAX = 50


@routes.get("/alerts")
def alerts_page(visit: Visit) -> Response:
    """Open alerts, messages that wait or were given up, and the alerts before `?before=`."""
    store = visit.services.alerts
    before = uuid_arg(visit, "before")
    listed = store.list_alerts(open_only=False, before=before, limit=PAGE_ALERTS + 1)
    shown = listed[:PAGE_ALERTS]
    more = len(listed) > PAGE_ALERTS
    return visit.page(
        "alerts.html",
        open_alerts=store.list_alerts(open_only=True, limit=OPEN_MAX),
        undelivered=store.list_deliveries(undelivered=True, limit=UNDELIVERED_MAX),
        past=shown,
        next_url=visit.url("/alerts", before=shown[-1].alert_id) if more else None,
        first_url=before and visit.url("/alerts"),
    )
