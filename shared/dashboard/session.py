"""Who is signed in: a signed cookie, good for 8 hours and not beyond what it was given for.

A key's session ends when its key leaves RECONCILE_API_KEYS, and has the role that the key has now;
a token's ends with the token, and its role is what RECONCILE_ROLES makes of the account's.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared.core.access import ApiKey
from shared.dashboard.signing import Signer
from shared.http.actor import Actor
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.adapters.supabase_tokens import Claims

SESSION_S = 8 * 3600
COOKIE_CHARS_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`id` is random, `mark` the fingerprint of the key or the account's own role, `ends_at` in
    seconds since 1970."""

    id: str
    name: str
    via: Literal["key", "jwt"]
    mark: str
    ends_at: int


class Sessions:
    """Begins sessions and reads them back."""

    def __init__(self, config: Settings, secret: str) -> None:
        self._config = config
        self._signer = Signer(secret, "session")

    def of_key(self, key: ApiKey, now: datetime) -> Session:
        return Session(
            id=_new_id(),
            name=key.name,
            via="key",
            mark=_fingerprint(key),
            ends_at=int(now.timestamp()) + SESSION_S,
        )

    def of_claims(self, claims: "Claims", now: datetime) -> Session:
        """For an account that has a role here."""
        return Session(
            id=_new_id(),
            name=claims.name,
            via="jwt",
            mark=claims.role or "",
            ends_at=int(min(claims.expires_at, now.timestamp() + SESSION_S)),
        )

    def cookie(self, session: Session) -> str:
        return self._signer.sign(asdict(session))

    def read(self, cookie: str, now: datetime) -> tuple[Session, Actor] | None:
        """The session of a cookie and who that is now; None when it is over or was never one."""
        value = self._signer.read(cookie) if len(cookie) <= COOKIE_CHARS_MAX else None
        session = _parsed(value) if isinstance(value, dict) else None
        if session is None or session.ends_at <= now.timestamp():
            return None
        actor = self._key_actor(session) if session.via == "key" else self._token_actor(session)
        return None if actor is None else (session, actor)

    def _key_actor(self, session: Session) -> Actor | None:
        for key in self._config.reconcile_api_keys:
            if _fingerprint(key) == session.mark and key.name == session.name:
                return Actor(key.name, key.role, "key")
        return None

    def _token_actor(self, session: Session) -> Actor | None:
        role = self._config.reconcile_roles.get(session.mark)
        if role is None or not self._config.checks_tokens:
            return None
        return Actor(session.name, role, "jwt")


def _parsed(value: Mapping[str, Any]) -> Session | None:
    # Signed by us, perhaps by an earlier release with other fields.
    try:
        session = Session(**value)
    except TypeError:
        return None
    return session if session.via in ("key", "jwt") else None


def _fingerprint(key: ApiKey) -> str:
    """Says which key it was without showing even its hash."""
    return hashlib.sha256(f"session:{key.digest}".encode()).hexdigest()[:32]


def _new_id() -> str:
    return secrets.token_urlsafe(18)
