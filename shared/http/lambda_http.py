"""An HTTP function on AWS Lambda: API Gateway's event → WSGI → the view → API Gateway's answer.

The event is that of a REST API's proxy integration (payload 1.0). The API hands bodies on as bytes
(`binaryMediaTypes: */*`), so a signature over the raw body can be checked.
"""

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

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


def lambda_handler(
    view: Callable[[Request], Response], *, sub_paths: bool = False
) -> LambdaHandler:
    """The handler of an HTTP function: the view that functions-framework serves, on Lambda.

    With `sub_paths` the function has paths of its own, below the resource `<name>/{proxy+}`, and
    the request's `script_root` is where a browser sees the function: the stage is in it.
    """

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # The API has routed by the whole path (a custom domain's base too); a function is at /.
        seen, own = _split(environ) if sub_paths else (environ["PATH_INFO"].rstrip("/"), "/")
        environ["SCRIPT_NAME"], environ["PATH_INFO"] = seen, own
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


def _split(environ: "WSGIEnvironment") -> tuple[str, str]:
    """The path up to the function, as a browser sees it, and the path below it."""
    event: Event = environ["apig_wsgi.full_event"]
    routed = environ["PATH_INFO"].rstrip("/").split("/")
    below = unquote((event.get("pathParameters") or {}).get("proxy") or "").rstrip("/")
    # Counted, not compared: the two may be escaped differently.
    cut = len(routed) - (len(below.split("/")) if below else 0)
    # Without a domain of its own the API has its stage before the path that it routes by.
    whole = unquote((event.get("requestContext") or {}).get("path") or "").rstrip("/").split("/")
    stage = whole[: len(whole) - (len(routed) - 1)] if len(whole) > len(routed) else [""]
    return "/".join(stage + routed[1:cut]), "/" + "/".join(routed[cut:])


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
