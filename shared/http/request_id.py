"""The id that a request's log lines and its answer carry, in the header X-Request-Id."""

from collections.abc import Callable
from functools import wraps

from flask import Request, Response

from shared.observe.context import current, is_request_id, new_request_id
from shared.observe.invocation import lambda_request_id, observed

HEADER = "X-Request-Id"


def request_id_of(request: Request) -> str:
    """The caller's id if it is fit for a log, else Lambda's, else a new one."""
    if (invocation := current()) is not None:
        return invocation.request_id
    given = request.headers.get(HEADER, "")
    if is_request_id(given):
        return given
    context = request.environ.get("apig_wsgi.context")  # what Lambda told of the invocation
    return lambda_request_id(context) or new_request_id()


def observed_http(
    function: str,
) -> Callable[[Callable[[Request], Response]], Callable[[Request], Response]]:
    """Log and count the requests of an HTTP function under its name."""

    def decorate(entry: Callable[[Request], Response]) -> Callable[[Request], Response]:
        @wraps(entry)
        def observed_entry(request: Request) -> Response:
            with observed(function, request_id_of(request)) as invocation:
                response = entry(request)
                invocation.status = response.status_code
                return response

        return observed_entry

    return decorate
