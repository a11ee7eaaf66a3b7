"""Is the audit log as it was written? What a look through its chains of hashes has found."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.errors import InvalidInput

FAULTS_NAMED_MAX = 20
"""Of many faults the first are named; all are counted."""
USERS_NAMED_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFault:
    """Something that nobody can have written through the procedures and triggers.

    `code` is row_altered, row_missing, row_inserted, head_altered or adopted_rows_altered; of a
    missing row there is no `audit_id`, only its place in the user's chain.
    """

    audit_id: str | None
    user_address: str | None
    chain_no: int | None
    code: str
    detail: str

    def as_json(self) -> dict[str, Any]:
        """With the names that the HTTP functions use."""
        return {
            "auditId": self.audit_id,
            "userAddress": self.user_address,
            "chainNo": self.chain_no,
            "code": self.code,
            "detail": self.detail,
        }


class Phase(StrEnum):
    """What is looked through, in this order."""

    CHAINS = "chains"
    """Every row against its hash and the row before it."""
    HEADS = "heads"
    """The heads in the ledger's rows against the rows they stand for."""
    ASIDE = "aside"
    """The heads that are kept beside the ledger."""
    ADOPTED = "adopted"
    """The rows from before the chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCursor:
    """Where a verification goes on. `key` and `chain_no`: what was looked at last in this phase.

    The digests are of what was looked at so far, in hex.
    """

    until: datetime
    phase: Phase = Phase.CHAINS
    key: str | None = None
    chain_no: int | None = None
    digest: str = ""
    adopted_digest: str = ""
    adopted_rows: int = 0

    def encode(self) -> str:
        """As text that fits into a URL."""
        fields = [self.until.isoformat(), self.phase, self.key, self.chain_no, self.digest]
        text = json.dumps([*fields, self.adopted_digest, self.adopted_rows])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> AuditCursor:
    """What `encode` made. Raises InvalidInput."""
    try:
        padded = text + "=" * (-len(text) % 4)
        fields = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        until, phase, key, chain_no, digest, adopted_digest, adopted_rows = fields
        cursor = AuditCursor(
            until=datetime.fromisoformat(until),
            phase=Phase(phase),
            key=_checked(key, str, optional=True),
            chain_no=_checked(chain_no, int, optional=True),
            digest=_checked(digest, str),
            adopted_digest=_checked(adopted_digest, str),
            adopted_rows=_checked(adopted_rows, int),
        )
        bytes.fromhex(cursor.digest + cursor.adopted_digest)
        if cursor.until.tzinfo is None or "\0" in (cursor.key or ""):
            raise ValueError(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"{text[:60]!r} is not where a verification was left off",
            remedy="Give `after` of an earlier answer as it was, or leave it out.",
        ) from error
    return cursor


def _checked(value: Any, kind: type, *, optional: bool = False) -> Any:
    if (value is None and optional) or type(value) is kind:
        return value
    raise TypeError(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerification:
    """What was found, from the beginning or from `after` of an earlier one.

    `gaps`: rows whose balance before is not the balance after the row before; `unaudited`: users
    whose ledger balance is not their last row's. Both tell that somebody wrote the ledger without
    an audit row, which an app may do that has a writer of its own. `unanchored`: users of whom
    nothing says where their chain ended. `digest` (hex) stands for every row written before
    `until`: a later one for the same `until` differs if history was rewritten.
    """

    until: datetime
    rows: int = 0
    users: int = 0
    adopted_rows: int = 0
    faults: int = 0
    first_faults: tuple[AuditFault, ...] = ()
    gaps: int = 0
    unaudited: int = 0
    first_unaudited: tuple[str, ...] = ()
    unanchored: int = 0
    only_writer: bool = False
    digest: str | None = None
    after: AuditCursor | None = None

    @property
    def is_complete(self) -> bool:
        """Was everything looked at?"""
        return self.after is None

    @property
    def is_whole(self) -> bool:
        """Is nothing wrong with what was looked at?

        Where the reconciler is the ledger's only writer, balances without an audit row are wrong.
        """
        return not self.faults and not (self.only_writer and self.unexplained)

    @property
    def unexplained(self) -> int:
        """Gaps, unaudited balances and chains without a known end."""
        return self.gaps + self.unaudited + self.unanchored

    def as_json(self) -> dict[str, Any]:
        """With the names that the HTTP functions use."""
        return {
            "whole": self.is_whole,
            "complete": self.is_complete,
            "rows": self.rows,
            "users": self.users,
            "adoptedRows": self.adopted_rows,
            "faults": self.faults,
            "firstFaults": [each.as_json() for each in self.first_faults],
            "gaps": self.gaps,
            "unaudited": self.unaudited,
            "firstUnaudited": list(self.first_unaudited),
            "unanchored": self.unanchored,
            "onlyWriter": self.only_writer,
            "until": self.until.isoformat(),
            "digest": self.digest,
            "after": None if self.after is None else self.after.encode(),
        }


def verification_from_json(document: Any) -> AuditVerification:
    """What `as_json` made. Raises InvalidInput."""
    try:
        after, digest = document["after"], document["digest"]
        return AuditVerification(
            until=datetime.fromisoformat(document["until"]),
            rows=int(document["rows"]),
            users=int(document["users"]),
            adopted_rows=int(document["adoptedRows"]),
            faults=int(document["faults"]),
            first_faults=tuple(_fault_from_json(each) for each in document["firstFaults"]),
            gaps=int(document["gaps"]),
            unaudited=int(document["unaudited"]),
            first_unaudited=tuple(map(str, document["firstUnaudited"])),
            unanchored=int(document["unanchored"]),
            only_writer=bool(document["onlyWriter"]),
            digest=None if digest is None else str(digest),
            after=None if after is None else decode_cursor(after),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            "this is not what a verification has found", remedy="Begin a new one."
        ) from error


def _fault_from_json(document: Mapping[str, Any]) -> AuditFault:
    names = ("audit_id", "user_address", "chain_no", "code", "detail")
    keys = ("auditId", "userAddress", "chainNo", "code", "detail")
    return fault_from(dict(zip(names, (document[key] for key in keys), strict=True)))


def fault_from(columns: Mapping[str, Any]) -> AuditFault:
    """As the procedures write a fault."""
    chain_no = columns["chain_no"]
    return AuditFault(
        audit_id=columns["audit_id"],
        user_address=columns["user_address"],
        chain_no=None if chain_no is None else int(chain_no),
        code=str(columns["code"]),
        detail=str(columns["detail"]),
    )
