"""Is a form one of ours, sent by the person whom it was made for?

Each form has a token that goes with the session, or before the sign-in with the visitor's cookie.
A browser that says where a form comes from has to say: from here.
"""

import hmac
import secrets
from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Request

from shared.dashboard.signing import keyed_digest
from shared.http.problem import Problem

FIELD = "csrf_token"
_NONCE_CHARS = 16


def csrf_token(secret: str, holder: str) -> str:
    """A token for the forms of `holder`, another for each page, so that
    compressed pages give none away."""
    nonce = secrets.token_hex(_NONCE_CHARS // 2)
    return nonce + _mac(secret, holder, nonce)


def check_csrf(request: Request, secret: str, holder: str, *, own_hosts: Collection[str]) -> None:
    """Raises a 403 Problem. `own_hosts`: the hosts, with ports, that a browser may know this by."""
    given = request.form.get(FIELD, "")
    nonce, mac = given[:_NONCE_CHARS], given[_NONCE_CHARS:]
    if not given.isascii() or not hmac.compare_digest(mac, _mac(secret, holder, nonce)):
        raise _refused("This form is no longer valid, or cookies are switched off")
    if not _is_from_here(request, own_hosts):
        raise _refused("This form was sent from another site")


def _is_from_here(request: Request, own_hosts: Collection[str]) -> bool:
    if (site := request.headers.get("Sec-Fetch-Site")) is not None and site != "same-origin":
        return False
    origin = request.headers.get("Origin")
    return origin is None or _host(origin) in own_hosts


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _mac(secret: str, holder: str, nonce: str) -> str:
    return keyed_digest(secret, "csrf", holder, nonce)


def _refused(fault: str) -> Problem:
    return Problem(403, "form_refused", f"{fault}. Nothing was done. Go back, reload, try again.")
