"""What became of a user in a run, and the result that callers see."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.amount import FlowAmount, format_amount


class Outcome(StrEnum):
    """Exactly one for each user looked at."""

    IN_SYNC = "in_sync"
    CORRECTED = "corrected"
    WOULD_CORRECT = "would_correct"
    """Dry run: an apply would correct it."""
    TRANSIENT = "transient"
    """Differed in the scan, agreed when both sides were read again."""
    CHANGED_MEANWHILE = "changed_meanwhile"
    """The ledger row moved between read and write: not written."""
    HELD = "held"
    """Differs, and is left alone because an admin holds the user."""
    FAILED = "failed"


SETTLED = frozenset({Outcome.IN_SYNC, Outcome.CORRECTED, Outcome.TRANSIENT})
"""Outcomes after which nothing is left to do for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationResult:
    """One user's result.

    `old_balance` is the ledger's balance before, `new_balance` the contract's, `discrepancy` =
    new − old, all in units of 1e-8 FLOW and None when they could not be read. `new_balance` is
    what the ledger holds now only when `outcome` is `corrected`. `block_height` is where
    `new_balance` was read, `scan_height` where a sweep found the discrepancy first. `timestamp` is
    UTC.
    """

    user_address: str
    outcome: Outcome
    timestamp: datetime
    old_balance: FlowAmount | None = None
    new_balance: FlowAmount | None = None
    discrepancy: FlowAmount | None = None
    block_height: int | None = None
    scan_height: int | None = None
    audit_id: str | None = None
    error: str | None = None
    error_code: str | None = None

    @property
    def success(self) -> bool:
        """False when the user failed or is held: the error says why. A user who still differs for
        another reason is no failure."""
        return self.outcome not in (Outcome.FAILED, Outcome.HELD)

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings with 8 places."""
        return {
            "success": self.success,
            "userAddress": self.user_address,
            "outcome": str(self.outcome),
            "oldBalance": _decimal(self.old_balance),
            "newBalance": _decimal(self.new_balance),
            "discrepancy": _decimal(self.discrepancy),
            "blockHeight": self.block_height,
            "scanHeight": self.scan_height,
            "auditId": self.audit_id,
            "timestamp": iso_utc(self.timestamp),
            "error": self.error,
            "errorCode": self.error_code,
        }

    def having(self, **changes: Any) -> "ReconciliationResult":
        """A copy with some fields replaced."""
        return replace(self, **changes)


def _decimal(amount: FlowAmount | None) -> str | None:
    return None if amount is None else format_amount(amount)


def iso_utc(moment: datetime) -> str:
    """RFC 3339 with milliseconds and `Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
