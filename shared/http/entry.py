"""The way into every HTTP function: configured? → path → method → who calls, may they, how often,
then the function itself.

A functions-framework function answers every path and method, and its 500s are HTML with the
exception's text; so everything is checked and everything is caught here.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast, overload

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException

from shared.core.access import Permission
from shared.core.errors import InvalidSettings
from shared.http.access import authenticate, check_configured
from shared.http.actor import Actor, check_permission
from shared.http.answers import finished
from shared.http.cors import is_preflight, preflight_response, shared_with
from shared.http.failures import own_the_app, problem_for
from shared.http.problem import Problem
from shared.http.rate_limit import take_slot
from shared.http.request_id import observed_http
from shared.settings import settings

HttpFunction = Callable[[Request], Response]
AdminView = Callable[[Request, Actor], Response]
OpenView = Callable[[Request, None], Response]
_AnyView = Callable[[Request, Any], Response]


@overload
def http_function(
    *, methods: tuple[str, ...], permission: Permission
) -> Callable[[AdminView], HttpFunction]: ...
@overload
def http_function(
    *, methods: tuple[str, ...], permission: None
) -> Callable[[OpenView], HttpFunction]: ...
def http_function(
    *, methods: tuple[str, ...], permission: Permission | None
) -> Callable[[_AnyView], HttpFunction]:
    """Make a view an HTTP function for callers with the permission, at the path `/`.

    The view gets the request and who calls; with permission None it gets None for anybody, and
    checks by itself. It may raise Problem or ReconcileError. The function keeps the view's name,
    which is its target's.
    """

    def decorate(view: _AnyView) -> HttpFunction:
        @wraps(view)
        @observed_http(view.__name__)
        def entry(request: Request) -> Response:
            response = finished(request, _answer(request, view, methods, permission))
            return shared_with(request, response, _origins(permission))

        own_the_app(_of_framework)
        return cast(HttpFunction, functions_framework.http(entry))

    return decorate


def _answer(
    request: Request, view: _AnyView, methods: tuple[str, ...], permission: Permission | None
) -> Response:
    try:
        if permission is not None:
            check_configured(settings())
        _check_path(request)
        if is_preflight(request, _origins(permission)):
            return preflight_response(methods)
        _check_method(request, methods)
        return view(request, None if permission is None else _actor(request, permission))
    except Exception as error:
        return problem_for(error).response()


def _actor(request: Request, permission: Permission) -> Actor:
    actor = authenticate(request, settings())
    check_permission(actor, permission)
    take_slot(actor, settings())
    return actor


def _origins(permission: Permission | None) -> tuple[str, ...]:
    """Whose pages may call; those who need no permission are no browsers."""
    try:
        return () if permission is None else settings().reconcile_cors_origins
    except InvalidSettings:
        return ()


def _check_path(request: Request) -> None:
    if request.path != "/":
        raise _not_found()


def _check_method(request: Request, methods: tuple[str, ...]) -> None:
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise Problem(
            405,
            "method_not_allowed",
            f"This function does not answer {request.method[:20]}. Use {allowed}.",
            headers={"Allow": allowed},
        )


def _not_found() -> Problem:
    return Problem(404, "not_found", "There is nothing at this path. Use / of this function.")


def _of_framework(error: HTTPException) -> Response:
    problem = _not_found() if error.code == 404 else problem_for(error)
    return finished(flask.request, problem.response())
