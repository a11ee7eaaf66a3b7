"""An HTTP function on AWS Lambda: API Gateway's event → WSGI → the view → API Gateway's answer.

The event is that of a REST API's proxy integration (payload 1.0). The API hands bodies on as bytes
(`binaryMediaTypes: */*`), so a signature over the raw body can be checked.
"""

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from apig_wsgi import make_lambda_handler
from flask import Request, Response

from shared.http.problem import Problem

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Event = dict[str, Any]
LambdaHandler = Callable[[Event, Any], dict[str, Any]]

ANSWER_BYTES_MAX = 6 * 1024 * 1024 - 16 * 1024
"""What Lambda takes as an answer is 6 MB of JSON; the headers are in it as well."""
_ESCAPED_MAX = 6
"""Bytes that JSON makes of one: \\u001f."""


def lambda_handler(view: Callable[[Request], Response]) -> LambdaHandler:
    """The handler of an HTTP function: the view that functions-framework serves, on Lambda."""

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # The API has routed by the whole path (a custom domain's base too); a function is at /.
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = environ["PATH_INFO"].rstrip("/"), "/"
        return view(Request(environ))(environ, start_response)

    answer = make_lambda_handler(application, binary_support=True)

    def handler(event: Event, context: Any) -> dict[str, Any]:
        answered = answer(event, context)
        if _fits(answered["body"]):
            return answered
        refusal = _too_large().response()
        return make_lambda_handler(refusal)(event, context)

    return handler


def is_http(event: Event) -> bool:
    """Does the event come from API Gateway? A schedule's input has no such field."""
    return "httpMethod" in event


def _fits(body: str) -> bool:
    if len(body) * _ESCAPED_MAX <= ANSWER_BYTES_MAX:
        return True
    return len(json.dumps(body)) <= ANSWER_BYTES_MAX


def _too_large() -> Problem:
    return Problem(
        500,
        "answer_too_large",
        "The answer is larger than Lambda can give. A run is stored nevertheless: read it with"
        " `reconcile runs`, or ask for less.",
    )
