"""GET /: a report of a run, of a period or of a user, as JSON, CSV or PDF.

`?kind=run&runId=…` (`latest` is the newest run), `?kind=period&since=…&until=…` (a date is its
first moment in UTC; without `until`: now) or `?kind=user&userAddress=…`, and `&format=json|csv|pdf`
or else the Accept header, or else JSON. A report that is too large to be answered goes to the store
of reports, if there is one, and the answer is a 303 to it, good for five minutes. HEAD checks the
request and makes no report.
"""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from flask import Request, Response

from shared.core.access import Permission
from shared.core.errors import InvalidInput
from shared.core.moment import parse_moment
from shared.core.report import PeriodReport, Report
from shared.http.actor import Actor
from shared.http.entry import http_function
from shared.http.formats import chosen_format
from shared.http.lambda_http import lambda_handler
from shared.http.problem import Problem
from shared.http.report_answer import REPORT_MEDIA_TYPES, head_response, report_response
from shared.services.reports import Reports

_PARAMETERS = {
    "run": ("runId",),
    "period": ("since", "until"),
    "user": ("userAddress",),
}
_OPTIONAL = frozenset({"until"})


@http_function(methods=("GET", "HEAD"), permission=Permission.READ)
def report(request: Request, actor: Actor) -> Response:
    """Choose the format and the kind, make the report, render."""
    allowed = ("kind", *(name for names in _PARAMETERS.values() for name in names))
    wanted = chosen_format(request, REPORT_MEDIA_TYPES, others=allowed)
    make = _maker(_given(request), actor)
    if request.method == "HEAD":
        response = head_response(wanted)
    else:
        from shared.bootstrap import services  # here, because importing both clients takes a second

        made = services()
        response = report_response(make(made.reports), wanted, made.report_store)
    response.vary.add("Accept")
    return response


def _given(request: Request) -> dict[str, str]:
    """The parameters besides the format: each once, those of the kind and no others."""
    given: dict[str, str] = {}
    for name, values in request.args.lists():
        if len(values) > 1:
            raise _invalid(f"{name} is there more than once", "Give it once.")
        given[name] = values[0]
    given.pop("format", None)
    kind = given.get("kind", "")
    if kind not in _PARAMETERS:
        raise _invalid(f"kind is {kind[:40]!r}", "Give kind=run, kind=period or kind=user.")
    for name in given.keys() - {"kind", *_PARAMETERS[kind]}:
        raise _invalid(f"{name} does not go with kind={kind}", "Leave it out.")
    for name in _PARAMETERS[kind]:
        if name not in given and name not in _OPTIONAL:
            raise _invalid(f"{name} is missing", f"kind={kind} needs it.")
    return given


def _maker(given: dict[str, str], actor: Actor) -> Callable[[Reports], Report]:
    """What makes the report that is asked for. Raises Problem."""
    match given["kind"]:
        case "run":
            run_id = _run_id(given["runId"])
            return lambda reports: reports.run(run_id, actor.name)
        case "period":
            since = _moment(given, "since")
            until = _moment(given, "until") if "until" in given else None
            return lambda reports: _period(reports, since, until, actor)
        case _:
            return lambda reports: reports.user(given["userAddress"], actor.name)


def _period(
    reports: Reports, since: datetime, until: datetime | None, actor: Actor
) -> PeriodReport:
    try:
        return reports.period(since, until, actor.name)
    except InvalidInput as error:
        raise _invalid(error.fault, error.remedy) from error


def _run_id(text: str) -> UUID | None:
    if text == "latest":
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise _invalid("runId is no UUID", "Give a run's id, or latest.") from error


def _moment(given: dict[str, str], name: str) -> datetime:
    try:
        return parse_moment(given[name], field=name)
    except InvalidInput as error:
        raise _invalid(error.fault, error.remedy) from error


def _invalid(fault: str, remedy: str) -> Problem:
    return Problem(400, "invalid_input", f"{fault}. {remedy}")


handler = lambda_handler(report)
