"""Accounts of Supabase Auth (GoTrue): its password grant, by httpx."""

import json
import logging
from typing import Any

import httpx

from shared.core.errors import SignInRefused, SignInUnreachable

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 256 * 1024

_REFUSED = frozenset({400, 401, 403, 404, 422})
_log = logging.getLogger(__name__)


class SupabaseSignIn:
    """Implements the port `SignIn`. `url` is the project's, `api_key` what its gateway asks for."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url = url.rstrip("/") + "/auth/v1/token"
        self._api_key = api_key

    def token(self, email: str, password: str) -> str:
        try:
            status, body = self._asked({"email": email, "password": password})
        except httpx.HTTPError as error:
            raise _unreachable(type(error).__name__) from error
        if status in _REFUSED:
            raise _refused(body)
        token = _member(body, "access_token") if status == 200 else None
        if token is None:
            raise _unreachable(f"status {status}")
        return token

    def _asked(self, credentials: dict[str, str]) -> tuple[int, bytes]:
        """Redirects are not followed: they would carry the password elsewhere."""
        headers = {"apikey": self._api_key, "Accept-Encoding": "identity"}
        body = b""
        with httpx.stream(
            "POST",
            self._url,
            params={"grant_type": "password"},
            json=credentials,
            headers=headers,
            timeout=TIMEOUT_S,
        ) as response:
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise _unreachable("an answer that is too large")
        return response.status_code, body


def _member(body: bytes, name: str) -> str | None:
    try:
        answer: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = answer.get(name) if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found else None


def _refused(body: bytes) -> SignInRefused:
    # Its code tells a missing account from a captcha that is switched on: for the log alone.
    code = _member(body, "error_code") or _member(body, "error") or "without a code"
    _log.warning("Supabase Auth refused a sign-in: %s", code[:60])
    return SignInRefused(
        "E-mail address and password are not accepted",
        remedy="Check both, and that the account is confirmed.",
    )


def _unreachable(why: str) -> SignInUnreachable:
    return SignInUnreachable(
        f"Supabase Auth did not answer a sign-in ({why})",
        remedy="Check SUPABASE_URL and that the project is running, or try again.",
    )
