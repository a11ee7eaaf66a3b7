"""Who may do what: roles, permissions, and named API keys, of which only hashes are kept."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from shared.core.errors import ReconcileError

KEY_CHARS_MIN = 32
"""Shorter ones are never right, whatever hash is configured: passwords and empty variables."""

KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""No spaces and no @: such a name is neither a person's nor spelt like one acting for another."""

_KEY_LINE = re.compile(rf"({KEY_NAME.pattern}):([a-z]+):([0-9A-Fa-f]{{64}})", re.ASCII)


class Permission(Enum):
    """What a function needs of its caller."""

    READ = auto()
    WRITE = auto()
    ACT_FOR_OTHERS = auto()
    """Have the audit rows name somebody else, and the caller behind that name."""


class Role(StrEnum):
    """What a caller is; each may do all that the one before it may."""

    VIEWER = "viewer"
    ADMIN = "admin"
    DELEGATE = "delegate"

    def allows(self, permission: Permission) -> bool:
        return permission in _PERMISSIONS[self]


_PERMISSIONS = {
    Role.VIEWER: {Permission.READ},
    Role.ADMIN: {Permission.READ, Permission.WRITE},
    Role.DELEGATE: {Permission.READ, Permission.WRITE, Permission.ACT_FOR_OTHERS},
}


class TokenRejected(ReconcileError):
    """A caller's token is not to be believed. Says nothing of what is in it."""

    code = "unauthorized"


class JwksUnreachable(ReconcileError):
    """The keys that tokens are signed with could not be fetched: who calls is not known."""

    code = "jwks_unreachable"
    retryable = True


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that callers may show; `digest` is the SHA-256 of its text, in lower-case hex."""

    name: str
    role: Role
    digest: str = field(repr=False)

    def line(self) -> str:
        """As RECONCILE_API_KEYS has it."""
        return f"{self.name}:{self.role}:{self.digest}"


def key_digest(key: str) -> str:
    """What is kept of a key. It needs no salt: keys are random and 256 bits long."""
    return hashlib.sha256(key.encode()).hexdigest()


def parse_role(text: str) -> Role:
    """Raises ValueError, naming the roles there are."""
    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"a role is one of {', '.join(Role)}") from None


def parse_api_keys(text: str) -> tuple[ApiKey, ...]:
    """`name:role:sha256hex,…`. Raises ValueError, which does not show the text.

    A name may come again with another hash, so that its key can be changed without a gap.
    """
    keys = tuple(_parse_key(number, line) for number, line in enumerate(text.split(","), 1))
    if len({key.digest for key in keys}) < len(keys):
        raise ValueError("a hash is there twice")
    if len({(key.name, key.role) for key in keys}) > len({key.name for key in keys}):
        raise ValueError("a name has two roles")
    return keys


def find_api_key(keys: Iterable[ApiKey], given: str) -> ApiKey | None:
    """The key whose text is `given`; takes as long for any text, and looks at every key."""
    digest = key_digest(given)
    found: Sequence[ApiKey] = [key for key in keys if hmac.compare_digest(key.digest, digest)]
    return found[0] if found and len(given) >= KEY_CHARS_MIN else None


def _parse_key(number: int, line: str) -> ApiKey:
    match = _KEY_LINE.fullmatch(line.strip())
    if not match:
        raise ValueError(f"key {number} is not name:role:hash, its hash a SHA-256 in hex")
    try:
        return ApiKey(match[1], parse_role(match[2]), match[3].lower())
    except ValueError as error:
        raise ValueError(f"key {number}: {error}") from None
