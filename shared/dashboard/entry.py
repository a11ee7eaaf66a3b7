"""The way into the dashboard, as `shared.http.entry` is the one into the other functions."""

from collections.abc import Callable
from functools import wraps
from typing import cast

import flask
import functions_framework
from flask import Request, Response
from werkzeug.exceptions import HTTPException

from shared.dashboard.headers import hardened
from shared.dashboard.rendering import render
from shared.dashboard.visit import HTML_TYPE
from shared.http.answers import finished
from shared.http.failures import own_the_app, problem_for
from shared.http.problem import Problem
from shared.http.request_id import observed_http

View = Callable[[Request], Response]


def dashboard_function(view: View) -> View:
    """Make a view the HTTP function of its name, for browsers, at all paths.

    What it raises, or what its own error pages cannot show, becomes a page without frills.
    """

    @wraps(view)
    @observed_http(view.__name__)
    def entry(request: Request) -> Response:
        return _finished(request, _answer(request, view))

    own_the_app(_of_framework)
    return cast(View, functions_framework.http(entry))


def _answer(request: Request, view: View) -> Response:
    try:
        return view(request)
    except Exception as error:
        return _bare_page(problem_for(error))


def _finished(request: Request, response: Response) -> Response:
    kept = response.headers.get("Cache-Control")  # of what is no page
    response = hardened(finished(request, response))
    if kept is not None:
        response.headers["Cache-Control"] = kept
    return response


def _of_framework(error: HTTPException) -> Response:
    if error.code == 404:
        problem = Problem(404, "not_found", "There is no such page.")
    else:
        problem = problem_for(error)
    return _finished(flask.request, _bare_page(problem))


def _bare_page(problem: Problem) -> Response:
    answered = problem.response()  # notes the code for the log
    text = render("bare_problem.html", problem=problem)
    return Response(text, answered.status_code, content_type=HTML_TYPE)
