"""GET /: what a sweep would change now, as JSON, CSV or PDF. It writes no balance and no audit row.

`?format=json|csv|pdf`, or else the Accept header, or else JSON: `{"summary": …, "results": […]}`,
where `summary` is the run, which is stored and can be applied by its `runId`, and `results` has
everyone who is not in sync or could not be read. An unknown parameter or format is a 400, an Accept
header that allows none of them a 406. HEAD checks the request and runs no sweep.
"""

import json
from collections.abc import Iterator

from flask import Request, Response

from shared.api import reconcile_all_users
from shared.core.access import Permission
from shared.core.sweep_result import SweepResult
from shared.http.actor import Actor
from shared.http.answers import JSON_TYPE, streamed_response
from shared.http.entry import http_function
from shared.http.formats import chosen_format
from shared.http.lambda_http import lambda_handler
from shared.http.report_answer import REPORT_MEDIA_TYPES, head_response, report_response
from shared.reports.csv_report import csv_lines
from shared.reports.formats import CSV_TYPE


@http_function(methods=("GET", "HEAD"), permission=Permission.READ)
def dry_run_report(request: Request, actor: Actor) -> Response:
    """Choose the format, sweep without writing, render."""
    wanted = chosen_format(request, REPORT_MEDIA_TYPES)
    if request.method == "HEAD":
        response = head_response(wanted)
    else:
        response = _rendered(reconcile_all_users(actor.name, dry_run=True), wanted, actor)
    response.vary.add("Accept")
    return response


def _rendered(found: SweepResult, wanted: str, actor: Actor) -> Response:
    if wanted == "json":
        return streamed_response(_json_parts(found), JSON_TYPE)
    if wanted == "pdf":
        response = _pdf(found, actor)
    else:
        response = streamed_response(csv_lines(found), CSV_TYPE)
    name = f"dry-run-{found.summary.run_id}.{wanted}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _pdf(found: SweepResult, actor: Actor) -> Response:
    from shared.bootstrap import services  # here, because importing both clients takes a second

    made = services()
    return report_response(made.reports.swept(found, actor.name), "pdf", made.report_store)


def _json_parts(found: SweepResult) -> Iterator[str]:
    yield f'{{"summary": {json.dumps(found.summary.as_json())}, "results": ['
    for number, result in enumerate(found):
        yield ("," if number else "") + "\n" + json.dumps(result.as_json())
    yield "]}\n"


handler = lambda_handler(dry_run_report)
