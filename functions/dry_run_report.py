"""GET /: what a sweep would change now, as JSON or CSV. It writes no balance and no audit row.

`?format=json|csv`, or else the Accept header, or else JSON: `{"summary": …, "results": […]}`, where
`summary` is the run, which is stored and can be applied by its `runId`, and `results` has everyone
who is not in sync or could not be read. An unknown parameter or format is a 400, an Accept header
that allows neither a 406. HEAD checks the request and runs no sweep.
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
from shared.reports.csv_report import csv_lines

_MEDIA_TYPES = {"json": JSON_TYPE, "csv": "text/csv"}
_CSV_TYPE = "text/csv; charset=utf-8"


@http_function(methods=("GET", "HEAD"), permission=Permission.READ)
def dry_run_report(request: Request, actor: Actor) -> Response:
    """Choose the format, sweep without writing, render."""
    wanted = chosen_format(request, _MEDIA_TYPES)
    if request.method == "HEAD":
        # Streamed, so that it has no Content-Length: only a sweep would tell.
        response = streamed_response((), _CSV_TYPE if wanted == "csv" else JSON_TYPE)
    else:
        response = _rendered(reconcile_all_users(actor.name, dry_run=True), wanted)
    response.vary.add("Accept")
    return response


def _rendered(found: SweepResult, wanted: str) -> Response:
    if wanted == "json":
        return streamed_response(_json_parts(found), JSON_TYPE)
    response = streamed_response(csv_lines(found), _CSV_TYPE)
    name = f"dry-run-{found.summary.run_id}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _json_parts(found: SweepResult) -> Iterator[str]:
    yield f'{{"summary": {json.dumps(found.summary.as_json())}, "results": ['
    for number, result in enumerate(found):
        yield ("," if number else "") + "\n" + json.dumps(result.as_json())
    yield "]}\n"


handler = lambda_handler(dry_run_report)
