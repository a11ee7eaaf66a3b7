"""Who may call: holders of an API key or of a token of Supabase Auth, as `Authorization: Bearer`.

A key is in RECONCILE_API_KEYS by its hash. A token is signed by the project, and its
`app_metadata.role`, which only the project's owner can set, is in RECONCILE_ROLES.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from flask import Request

from shared.core.access import TokenRejected, find_api_key
from shared.http.actor import Actor, forbidden
from shared.http.problem import Problem
from shared.http.statuses import not_configured_problem
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.adapters.supabase_tokens import Claims, SupabaseTokens

_REALM = 'Bearer realm="reconcile"'
_REFUSED = f'{_REALM}, error="invalid_token"'
_TOKEN_CHARS_MAX = 8 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750: b64token


def check_configured(config: Settings) -> None:
    """Raise a Problem if there is nothing to check callers by."""
    if not config.reconcile_api_keys and not config.checks_tokens:
        raise not_configured_problem()


def authenticate(request: Request, config: Settings) -> Actor:
    """Who calls. Raises Problem: 401, or 403 for an account without a role; JwksUnreachable."""
    given = _bearer(request)
    key = find_api_key(config.reconcile_api_keys, given)
    if key:
        return Actor(key.name, key.role, "key")
    if not config.checks_tokens or given.count(".") != 2:
        raise _wrong()
    try:
        claims = verified_claims(given, config)
    except TokenRejected as error:
        raise _unauthorized(str(error), _REFUSED) from error
    return actor_of_claims(claims, config)


def verified_claims(token: str, config: Settings) -> "Claims":
    """What a token of Supabase Auth says. Raises TokenRejected, JwksUnreachable."""
    return _tokens(config).verify(token)


def actor_of_claims(claims: "Claims", config: Settings) -> Actor:
    """Who an account is here. Raises a 403 Problem for one without a role."""
    role = config.reconcile_roles.get(claims.role or "")
    if role is None:
        raise forbidden(
            "This account has no role here",
            f"Set its app_metadata.role to one of: {', '.join(config.reconcile_roles)}.",
        )
    return Actor(claims.name, role, "jwt")


def _bearer(request: Request) -> str:
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorized(
            "No key was given. Send the header Authorization: Bearer <key or token>.", _REALM
        )
    given = rest.strip(" ")
    # Whatever else a header may hold, such as two of them joined by a comma, is neither.
    if len(given) > _TOKEN_CHARS_MAX or not _TOKEN.fullmatch(given):
        raise _wrong()
    return given


def _tokens(config: Settings) -> "SupabaseTokens":
    secret = config.supabase_jwt_secret
    return _made(
        secret.get_secret_value() if secret else None,
        str(config.supabase_jwks_url) if config.supabase_jwks_url else None,
        config.token_issuer,
        config.supabase_jwt_audience,
    )


@lru_cache(maxsize=1)  # one a process: it keeps the keys that it has fetched
def _made(secret: str | None, jwks_url: str | None, issuer: str, audience: str) -> "SupabaseTokens":
    from shared.adapters.jwks import Jwks  # here, because most callers show keys
    from shared.adapters.supabase_tokens import SupabaseTokens
    from shared.adapters.system_clock import SystemClock

    jwks = Jwks(jwks_url, SystemClock()) if jwks_url else None
    return SupabaseTokens(secret=secret, jwks=jwks, issuer=issuer, audience=audience)


def _wrong() -> Problem:
    return _unauthorized(
        "The key or token is not accepted. Check that it is whole, and of this project.", _REFUSED
    )


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
