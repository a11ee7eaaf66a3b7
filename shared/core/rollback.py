"""Rollbacks: corrections that an admin takes back, each by a new audit row, with the user held."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.core.amount import ZERO, FlowAmount, format_amount

REFUSED_LISTED_MAX = 100
"""Refused corrections of a run that are told one by one; all are counted."""


class RollbackOutcome(StrEnum):
    """Exactly one for each correction."""

    ROLLED_BACK = "rolled_back"
    WOULD_ROLL_BACK = "would_roll_back"
    """Dry run: it would be."""
    ALREADY_ROLLED_BACK = "already_rolled_back"
    REFUSED = "refused"


_EXPLANATIONS = {
    "audit_not_found": "There is no such audit row. Take the id from the audit log or a report.",
    "not_a_correction": "The audit row is no correction that moved a balance. Only those can be "
    "rolled back.",
    "ledger_row_missing": "The ledger has no row of this user any more. Nothing was changed.",
    "changed_meanwhile": "The balance is not what this correction wrote any more, or a later "
    "correction stands. Roll back the later one first, or set the balance by an event.",
    "ledger_constraint_violation": "A constraint of the database refuses the balance. Nothing was "
    "changed.",
    "ledger_lock_timeout": "The row is locked by somebody else. Roll back again.",
    "ledger_timeout": "The database took too long. Roll back again.",
    "ledger_invalid_value": "The database refuses a value of the row. Nothing was changed.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What became, or would become, of one correction.

    `audit_id` is the correction's, `rollback_audit_id` that of the row that takes it back.
    `old_balance` is what the correction wrote, `new_balance` what it had found, in units of
    1e-8 FLOW; None, like `user_address`, when there is no such audit row. `code` says why it was
    refused.
    """

    audit_id: str
    outcome: RollbackOutcome
    code: str | None = None
    user_address: str | None = None
    old_balance: FlowAmount | None = None
    new_balance: FlowAmount | None = None
    rollback_audit_id: str | None = None

    @property
    def amount(self) -> FlowAmount | None:
        """What it moves the balance by, in units of 1e-8 FLOW; None when that is not known."""
        if self.old_balance is None or self.new_balance is None:
            return None
        return FlowAmount(self.new_balance - self.old_balance)

    @property
    def error(self) -> str | None:
        """Why it was refused, and what to do; None when it was not."""
        if self.code is None:
            return None
        return _EXPLANATIONS.get(self.code, f"The ledger refused it ({self.code}).")

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings with 8 places."""
        return {
            "auditId": self.audit_id,
            "outcome": str(self.outcome),
            "userAddress": self.user_address,
            "oldBalance": _decimal(self.old_balance),
            "newBalance": _decimal(self.new_balance),
            "amount": _decimal(self.amount),
            "rollbackAuditId": self.rollback_audit_id,
            "error": self.error,
            "errorCode": self.code,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPage:
    """A part of a run's corrections, in key order. `through`: go on after this key; None: that was
    all."""

    rollbacks: tuple[Rollback, ...]
    through: str | None


@dataclass(slots=True, kw_only=True)
class RunRollback:
    """What became of a run's corrections, as far as they were looked at.

    `outcomes` add up to `corrections`. `amount` sums what was, or would be, moved by this call, in
    units of 1e-8 FLOW. `refused_codes` counts all that were refused, `refused` has the first of
    them. `through`: where to go on when it is not `complete`.
    """

    run_id: UUID
    dry_run: bool
    outcomes: Counter[RollbackOutcome] = field(default_factory=Counter)
    amount: FlowAmount = ZERO
    refused_codes: Counter[str] = field(default_factory=Counter)
    refused: list[Rollback] = field(default_factory=list)
    through: str | None = None
    complete: bool = False

    @property
    def corrections(self) -> int:
        """How many were looked at."""
        return self.outcomes.total()

    def take(self, rollbacks: Iterable[Rollback]) -> None:
        """Count some more."""
        for each in rollbacks:
            self.outcomes[each.outcome] += 1
            if each.outcome in (RollbackOutcome.ROLLED_BACK, RollbackOutcome.WOULD_ROLL_BACK):
                self.amount = FlowAmount(self.amount + (each.amount or 0))
            if each.code is not None:
                self.refused_codes[each.code] += 1
                if len(self.refused) < REFUSED_LISTED_MAX:
                    self.refused.append(each)

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings with 8 places."""
        return {
            "runId": str(self.run_id),
            "dryRun": self.dry_run,
            "complete": self.complete,
            "through": self.through,
            "corrections": self.corrections,
            "outcomes": {str(each): self.outcomes[each] for each in RollbackOutcome},
            "amount": format_amount(self.amount),
            "refusedCodes": dict(sorted(self.refused_codes.items())),
            "refused": [each.as_json() for each in self.refused],
        }


def _decimal(amount: FlowAmount | None) -> str | None:
    return None if amount is None else format_amount(amount)
