"""Holds: an admin keeps corrections away from a user until somebody releases them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.errors import InvalidReason
from shared.core.outcome import iso_utc

REASON_CHARS_MAX = 500


class HoldOutcome(StrEnum):
    """What became of a request to hold or to release; the first of each pair changed something."""

    HELD = "held"
    ALREADY_HELD = "already_held"
    RELEASED = "released"
    NOT_HELD = "not_held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """`audit_id`: the audit row of the rollback that held the user, if one did. Times are UTC."""

    user_address: str
    held_at: datetime
    held_by: str
    reason: str
    audit_id: str | None = None
    released_at: datetime | None = None
    released_by: str | None = None
    release_reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, what is not known as null."""
        return {
            "userAddress": self.user_address,
            "heldAt": iso_utc(self.held_at),
            "heldBy": self.held_by,
            "reason": self.reason,
            "auditId": self.audit_id,
            "releasedAt": None if self.released_at is None else iso_utc(self.released_at),
            "releasedBy": self.released_by,
            "releaseReason": self.release_reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldChange:
    """The answer to a request. `hold`: the one that it is about; None: the user was never held."""

    user_address: str
    outcome: HoldOutcome
    hold: Hold | None

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "userAddress": self.user_address,
            "outcome": str(self.outcome),
            "hold": None if self.hold is None else self.hold.as_json(),
        }


def check_reason(reason: str) -> str:
    """The reason without the blanks around it.

    Raises InvalidReason if nothing is left, or it is too long or not printable.
    """
    text = reason.strip() if isinstance(reason, str) else ""
    if not text:
        fault = "the reason is blank"
    elif len(text) > REASON_CHARS_MAX:
        fault = f"the reason has {len(text)} characters"
    elif not text.isprintable():
        fault = "the reason has control characters"
    else:
        return text
    raise InvalidReason(fault, remedy=f"Say why in one line of 1 to {REASON_CHARS_MAX} characters.")
