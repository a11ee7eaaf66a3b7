"""The way into every HTTP function: configured? → path → method → key, then the function itself.

A functions-framework function answers every path and method, and its 500s are HTML with the
exception's text; so everything is checked and everything is caught here.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import cast

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException

from shared.core.errors import InvalidSettings, ReconcileError
from shared.http.answers import finished
from shared.http.bearer import check_bearer, configured_key
from shared.http.problem import Problem, internal_problem
from shared.http.statuses import problem_of

View = Callable[[Request], Response]

_log = logging.getLogger(__name__)


def http_function(*, methods: tuple[str, ...]) -> Callable[[View], View]:
    """Make a view an HTTP function for holders of the key, at the path `/`.

    The view may raise Problem or ReconcileError. The function keeps the view's name, which is
    its target's.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def entry(request: Request) -> Response:
            return finished(request, _answer(request, view, methods))

        _own_the_app()
        return cast(View, functions_framework.http(entry))

    return decorate


def _answer(request: Request, view: View, methods: tuple[str, ...]) -> Response:
    try:
        key = configured_key()
        _check_path(request)
        _check_method(request, methods)
        check_bearer(request, key)
        return view(request)
    except Problem as problem:
        return problem.response()
    except ReconcileError as error:
        if isinstance(error, InvalidSettings):
            _log.error("%s", error)  # the answer names no setting
        return _of_error(error).response()
    except Exception as error:
        return _last_resort(error).response()


def _of_error(error: ReconcileError) -> Problem:
    problem = problem_of(error.code, str(error))
    if problem.status == 500:
        return _last_resort(error)
    return problem


def _last_resort(error: Exception) -> Problem:
    _log.error("An HTTP function failed", exc_info=error)
    return internal_problem()


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


def _own_the_app() -> None:
    """What functions-framework answers by itself (/robots.txt, //x) is HTML; make it ours.

    It runs a function's module inside the context of the app that will serve it.
    """
    if flask.has_app_context():
        app = flask.current_app
        app.url_map.merge_slashes = False  # no redirects
        app.register_error_handler(HTTPException, _of_framework)


def _of_framework(error: HTTPException) -> Response:
    if error.code == 404:
        problem = _not_found()
    elif error.code and 400 <= error.code < 500:
        problem = Problem(error.code, "bad_request", "The request cannot be understood.")
    else:
        problem = _last_resort(error)
    return finished(flask.request, problem.response())
