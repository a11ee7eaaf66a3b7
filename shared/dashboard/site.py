"""From a request to a page: where → which page → who → is the form ours → may they → how often."""

from datetime import UTC, datetime
from functools import cache

from flask import Request, Response

from shared.dashboard.assets import asset_response
from shared.dashboard.csrf import check_csrf
from shared.dashboard.pages import (
    alerts,
    apply,
    holds,
    overview,
    reports,
    run,
    run_actions,
    run_rollback,
    runs,
    sign_in,
    solvency,
    start,
    user_rollback,
    users,
)
from shared.dashboard.place import place_of
from shared.dashboard.routing import Match, Router
from shared.dashboard.session import Sessions
from shared.dashboard.visit import SESSION_COOKIE, Visit
from shared.http.access import check_configured
from shared.http.failures import problem_for
from shared.http.problem import Problem
from shared.http.rate_limit import take_slot
from shared.settings import Settings, settings

FORM_BYTES_MAX = 64 * 1024
_FORM_TYPE = "application/x-www-form-urlencoded"


@cache
def router() -> Router:
    """The pages that there are."""
    pages = (
        sign_in,
        overview,
        runs,
        run,
        run_actions,
        run_rollback,
        apply,
        start,
        users,
        user_rollback,
        holds,
        reports,
        solvency,
        alerts,
    )
    return Router(page.routes for page in pages)


def answer(request: Request) -> Response:
    """The page, or a page that says why not. Raises what happens before it is known whose it is."""
    if request.path.startswith("/assets/"):
        return _asset(request)
    visit = visit_of(request, settings())
    try:
        response = _handled(visit)
    except Exception as error:
        response = problem_page(visit, problem_for(error))
    return visit.with_cookies(response)


def visit_of(request: Request, config: Settings) -> Visit:
    """Who asks, and where. Raises a 503 Problem when nobody could sign in."""
    check_configured(config)
    if config.reconcile_session_secret is None:
        raise Problem(
            503,
            "not_configured",
            "The dashboard has nothing to sign sessions with. Set RECONCILE_SESSION_SECRET to 32"
            " characters or more, and deploy again.",
        )
    secret = config.reconcile_session_secret.get_secret_value()
    visit = Visit(request, config, secret, place_of(request, config), datetime.now(UTC))
    found = Sessions(config, secret).read(request.cookies.get(SESSION_COOKIE, ""), visit.now)
    if found is not None:
        visit.session, visit.actor = found
    return visit


def problem_page(visit: Visit, problem: Problem) -> Response:
    """A page for people that says what a problem says."""
    # The response that machines would get notes the code for the log.
    answered = problem.response()
    page = visit.page("problem.html", status=problem.status, problem=problem)
    for name in ("Allow", "Retry-After"):
        if name in answered.headers:
            page.headers[name] = answered.headers[name]
    return page


def _handled(visit: Visit) -> Response:
    match = _match(visit.request)
    permission = match.route.permission
    if permission is not None and visit.actor is None:
        return _to_sign_in(visit)
    if match.route.method == "POST":
        _check_form(visit)
    if permission is not None:
        visit.require(permission)
    if visit.actor is not None:
        take_slot(visit.actor, visit.config)
    response: Response = match.route.handler(visit, **match.parts)
    return response


def _match(request: Request) -> Match:
    found = router().find(request.method, request.path)
    if found is not None:
        return found
    methods = router().methods(request.path)
    if not methods:
        raise Problem(404, "not_found", "There is no such page.")
    allowed = ", ".join(methods)
    raise Problem(
        405,
        "method_not_allowed",
        f"This address does not answer {request.method[:20]}. Go to the overview.",
        headers={"Allow": allowed},
    )


def _check_form(visit: Visit) -> None:
    request = visit.request
    request.max_content_length = FORM_BYTES_MAX
    if request.mimetype != _FORM_TYPE:
        raise Problem(415, "unsupported_media_type", "A form of the dashboard is expected.")
    check_csrf(request, visit.secret, visit.holder, own_hosts=visit.place.hosts)


def _to_sign_in(visit: Visit) -> Response:
    if visit.request.method in ("GET", "HEAD"):
        query = visit.request.query_string.decode("ascii", "replace")
        wanted = visit.request.path + (f"?{query}" if query else "")
        return Response(status=303, headers={"Location": visit.url("/sign-in", next=wanted)})
    return visit.redirect(
        "/sign-in",
        notice="Your session has ended, and nothing was done. Sign in and try again.",
        tone="bad",
    )


def _asset(request: Request) -> Response:
    response = asset_response(request, request.path.removeprefix("/assets/"))
    if response is None or request.method not in ("GET", "HEAD"):
        return Problem(404, "not_found", "There is no such file.").response()
    return response
