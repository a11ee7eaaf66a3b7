"""Where every HTTP function's errors end: what a caller is told of them, and what the log is."""

import logging
from collections.abc import Callable

import flask
from flask import Response
from werkzeug.exceptions import HTTPException

from shared.core.errors import InvalidSettings, ReconcileError
from shared.http.problem import Problem, internal_problem
from shared.http.statuses import problem_of

_log = logging.getLogger(__name__)


def problem_for(error: Exception) -> Problem:
    """What to answer; an error that nobody foresaw is logged, and the answer says nothing of it."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ReconcileError):
        return _of_ours(error)
    if isinstance(error, HTTPException) and error.code and 400 <= error.code < 500:
        return Problem(error.code, "bad_request", "The request cannot be understood.")
    return _last_resort(error)


def own_the_app(respond: Callable[[HTTPException], Response]) -> None:
    """What functions-framework answers by itself (/robots.txt, //x) is HTML; make it ours.

    It runs a function's module inside the context of the app that will serve it.
    """
    if flask.has_app_context():
        app = flask.current_app
        app.url_map.merge_slashes = False  # no redirects
        app.register_error_handler(HTTPException, respond)


def _of_ours(error: ReconcileError) -> Problem:
    if isinstance(error, InvalidSettings):
        _log.error("%s", error)  # the answer names no setting
    problem = problem_of(error.code, str(error))
    return _last_resort(error) if problem.status == 500 else problem


def _last_resort(error: Exception) -> Problem:
    _log.error("An HTTP function failed", exc_info=error)
    return internal_problem()
