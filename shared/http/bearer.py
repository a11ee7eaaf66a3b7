"""Who may call: holders of RECONCILE_API_KEY, as `Authorization: Bearer <key>`."""

import hmac

from flask import Request

from shared.http.problem import Problem
from shared.http.statuses import not_configured_problem
from shared.settings import settings

_REALM = 'Bearer realm="reconcile"'


def configured_key() -> str:
    """The key that callers must show. Raises Problem when there is none, InvalidSettings."""
    key = settings().reconcile_api_key
    if key is None:
        raise not_configured_problem()
    return key.get_secret_value()


def check_bearer(request: Request, key: str) -> None:
    """Raise a 401 Problem unless the request shows the key; in constant time."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized("No key was given", _REALM)
    if not hmac.compare_digest(_wire_bytes(given.strip(" ")), key.encode()):
        raise _unauthorized("The key is wrong", f'{_REALM}, error="invalid_token"')


def _wire_bytes(header: str) -> bytes:
    # WSGI decodes headers as Latin-1; what cannot be encoded back did not come over a wire.
    return header.encode("latin-1", errors="xmlcharrefreplace")


def _unauthorized(fault: str, challenge: str) -> Problem:
    return Problem(
        401,
        "unauthorized",
        f"{fault}. Send the header Authorization: Bearer <RECONCILE_API_KEY>.",
        headers={"WWW-Authenticate": challenge},
    )
