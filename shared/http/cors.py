"""Calls from pages in a browser: only from the origins in RECONCILE_CORS_ORIGINS, or none."""

from collections.abc import Sequence

from flask import Request, Response

REQUEST_HEADERS = ("Accept", "Authorization", "Content-Type", "Idempotency-Key", "X-Request-Id")
ANSWER_HEADERS = (
    "Content-Disposition",
    "Idempotency-Replayed",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
_PREFLIGHT_MAX_AGE_S = 600


def is_preflight(request: Request, origins: Sequence[str]) -> bool:
    """Does a browser ask, for a page of an allowed origin, what it may send?"""
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
        and request.headers.get("Origin") in origins
    )


def preflight_response(methods: Sequence[str]) -> Response:
    """What it may send; no more than any other client."""
    return Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": ", ".join(REQUEST_HEADERS),
            "Access-Control-Max-Age": str(_PREFLIGHT_MAX_AGE_S),
        },
    )


def shared_with(request: Request, response: Response, origins: Sequence[str]) -> Response:
    """The response, readable by a page of an allowed origin. Cookies are never wanted."""
    if not origins:
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin in origins:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = ", ".join(ANSWER_HEADERS)
    return response
