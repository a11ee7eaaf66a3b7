"""Reports to download: of a run, of a user, of a period."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from flask import Response

from shared.core.report import Report
from shared.dashboard.forms import FormFault
from shared.dashboard.routing import Routes
from shared.dashboard.visit import Visit
from shared.http.problem import Problem

routes = Routes()

FORMATS = ("csv", "json", "pdf")
RECENT_RUNS = 10
PERIOD_DAYS = 30
"""The period that is offered first ends today."""


@routes.get("/reports")
def reports_page(visit: Visit) -> Response:
    """Links for the period `?since=` to `?through=`, and for the newest runs.

    The form only asks for this page: a browser would not let it lead to where large reports are.
    """
    fault, days = "", _last_days(visit)
    try:
        if "since" in visit.args or "through" in visit.args:
            days = _days(visit)
    except FormFault as wrong:
        fault = str(wrong)
    return visit.page(
        "reports.html",
        status=422 if fault else 200,
        fault=fault,
        since=days[0],
        through=days[1],
        formats=FORMATS,
        runs=visit.services.runs.list(limit=RECENT_RUNS),
    )


@routes.get("/reports/period.{format_name}")
def period_report(visit: Visit, format_name: str) -> Response:
    """`?since=` and `?through=`, both days inclusive, in UTC."""
    _check_format(format_name)
    try:
        since, through = _days(visit)
    except FormFault as fault:
        raise Problem(422, "invalid_input", str(fault)) from None
    until = through + timedelta(days=1)
    report = visit.services.reports.period(_midnight(since), _midnight(until), visit.admin)
    return _download(visit, report, format_name)


@routes.get("/runs/{run_id:uuid}/report.{format_name}")
def run_report(visit: Visit, run_id: UUID, format_name: str) -> Response:
    """A run, and everyone of it who was not in sync."""
    _check_format(format_name)
    return _download(visit, visit.services.reports.run(run_id, visit.admin), format_name)


@routes.get("/users/{address}/report.{format_name}")
def user_report(visit: Visit, address: str, format_name: str) -> Response:
    """Both balances of a user now, and all audit rows."""
    _check_format(format_name)
    return _download(visit, visit.services.reports.user(address, visit.admin), format_name)


def _download(visit: Visit, report: Report, format_name: str) -> Response:
    from shared.http.report_answer import report_response

    return report_response(report, format_name, visit.services.report_store)


def _check_format(name: str) -> None:
    """Raises a 404 Problem."""
    if name not in FORMATS:
        raise Problem(404, "not_found", f"Reports come as {', '.join(FORMATS)}.")


def _last_days(visit: Visit) -> tuple[date, date]:
    today = visit.now.date()
    return today - timedelta(days=PERIOD_DAYS - 1), today


def _days(visit: Visit) -> tuple[date, date]:
    """The first and the last day that are asked for. Raises FormFault."""
    since, through = _day(visit, "since"), _day(visit, "through")
    if since > through:
        raise FormFault("The period ends before it begins.")
    return since, through


def _day(visit: Visit, name: str) -> date:
    with suppress(ValueError):
        day = date.fromisoformat(visit.args.get(name, ""))
        if day < date.max:  # the period ends where the next day begins
            return day
    raise FormFault("Give both days of the period, such as 2026-01-31.")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
