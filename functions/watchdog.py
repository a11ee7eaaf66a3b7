"""What a schedule calls every few minutes: announce ended runs, judge freshness, send what waits.

On Lambda by `handler`; elsewhere by HTTP `POST /`. The answer has counts:
`{"announced": 1, "overdue": false, "sent": 1, "failed": 0, "gaveUp": 0, "reports": 0,
"openAlerts": 1}`. Whoever ends a run announces it; this catches what a crash has left, and sends
again what a channel did not take. Calling it at any time, or twice at once, does no harm.
"""

from typing import Any

from flask import Request, Response

from shared.core.access import Permission
from shared.http.actor import Actor
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.lambda_http import is_http, lambda_handler
from shared.observe.invocation import LambdaContext, lambda_left_s, lambda_request_id, observed
from shared.settings import settings


@http_function(methods=("POST",), permission=Permission.WRITE)
def watchdog(_request: Request, _actor: Actor) -> Response:
    """Tick, render."""
    return json_response(_watched(settings().reconcile_deadline_s))


_by_http = lambda_handler(watchdog)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The same on Lambda, called by API Gateway or by a schedule.

    Raises ReconcileError to the schedule, so that the invocation counts as failed.
    """
    if is_http(event):
        return _by_http(event, context)
    with observed("watchdog", lambda_request_id(context)):
        return _watched(lambda_left_s(context))


def _watched(left_s: float) -> dict[str, Any]:
    from shared.bootstrap import services  # here, because importing both clients takes a second
    from shared.services.deadline import before_deadline

    asked_for = services()
    watched = asked_for.watchdog.tick(before_deadline(asked_for.clock, left_s))
    return {
        "announced": watched.announced,
        "overdue": watched.is_overdue,
        "sent": watched.delivered.sent,
        "failed": watched.delivered.failed,
        "gaveUp": watched.delivered.gave_up,
        "reports": watched.reports,
        "openAlerts": watched.open_alerts,
    }
