"""Tokens of Supabase Auth: signature, issuer, audience and times, by PyJWT."""

import re
from dataclasses import dataclass, field
from typing import Any

import jwt

from shared.adapters.jwks import ALGORITHMS, Jwks
from shared.core.access import TokenRejected

LEEWAY_S = 30
"""How far the clocks of the project and of this machine may be apart."""
NAME_CHARS_MAX = 100

_SUBJECT = re.compile(r"[!-~]{1,100}", re.ASCII)
# No spaces and no letters that look like others: the name stands in the audit log.
_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claims:
    """What is used of a token. `name`: the e-mail address or, without a plain one, the subject.
    `expires_at` is in seconds since 1970."""

    name: str
    role: str | None
    expires_at: float = field(default=0.0, compare=False)


class SupabaseTokens:
    """Which algorithm goes with which key is fixed here, never by the token: HS256 with the secret,
    ES256 and RS256 with a key of the JWKS."""

    def __init__(
        self, *, secret: str | None, jwks: Jwks | None, issuer: str, audience: str
    ) -> None:
        self._secret = secret
        self._jwks = jwks
        self._issuer = issuer
        self._audience = audience

    def verify(self, token: str) -> Claims:
        """Raises TokenRejected, JwksUnreachable."""
        try:
            return _claims(self._decoded(token))
        except jwt.ExpiredSignatureError as error:
            raise _rejected("The token has expired", "Sign in again.") from error
        except jwt.ImmatureSignatureError as error:
            raise _rejected(
                "The token is not valid yet", "Wait, or set the clocks right."
            ) from error
        except (jwt.InvalidIssuerError, jwt.InvalidAudienceError) as error:
            raise _rejected("The token is for another service", "Sign in to this one.") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _not_accepted() from error

    def _decoded(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm, key = self._key(header.get("alg"), header.get("kid"))
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=LEEWAY_S,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )

    def _key(self, algorithm: object, key_id: object) -> tuple[str, jwt.PyJWK | str]:
        if algorithm == "HS256" and self._secret is not None:
            return "HS256", self._secret
        if self._jwks is not None and algorithm in ALGORITHMS and isinstance(key_id, str):
            key = self._jwks.find(key_id)
            if key is not None:
                return key.algorithm_name, key
        raise _not_accepted()


def _claims(payload: dict[str, Any]) -> Claims:
    metadata = payload.get("app_metadata")
    role = metadata.get("role") if isinstance(metadata, dict) else None
    return Claims(_name(payload), role if isinstance(role, str) else None, float(payload["exp"]))


def _name(payload: dict[str, Any]) -> str:
    subject, email = payload["sub"], payload.get("email")
    if not _SUBJECT.fullmatch(subject):
        raise _not_accepted()
    if isinstance(email, str) and len(email) <= NAME_CHARS_MAX and _EMAIL.fullmatch(email):
        return email
    return str(subject)


def _not_accepted() -> TokenRejected:
    return _rejected("The token is not accepted", "Check that it is whole, and of this project.")


def _rejected(fault: str, remedy: str) -> TokenRejected:
    return TokenRejected(fault, remedy=remedy)
