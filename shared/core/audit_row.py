"""Rows of the audit log, and what those of a period add up to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import iso_utc

RECONCILER_OPERATIONS = ("reconciliation", "reconciliation_rollback", "sync_check")
"""The operations of ours; all others are the app's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the audit log.

    Amounts in units of 1e-8 FLOW, `amount` = after − before; None when the app wrote one that is
    none. `created_at` is UTC; None when the app's own row has no time. `chain_no` counts the user's
    rows from 1; None for those that were there before rows were chained.
    """

    audit_id: str
    user_address: str
    operation_type: str
    amount: FlowAmount | None
    balance_before: FlowAmount | None
    balance_after: FlowAmount | None
    transaction_hash: str | None = None
    created_at: datetime | None = None
    run_id: UUID | None = None
    block_height: int | None = None
    chain_no: int | None = None
    reason: str | None = None
    reverses_audit_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings with 8 places."""
        return {
            "auditId": self.audit_id,
            "userAddress": self.user_address,
            "operationType": self.operation_type,
            "amount": _decimal(self.amount),
            "balanceBefore": _decimal(self.balance_before),
            "balanceAfter": _decimal(self.balance_after),
            "transactionHash": self.transaction_hash,
            "createdAt": None if self.created_at is None else iso_utc(self.created_at),
            "runId": None if self.run_id is None else str(self.run_id),
            "blockHeight": self.block_height,
            "chainNo": self.chain_no,
            "reason": self.reason,
            "reversesAuditId": self.reverses_audit_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTotal:
    """What the rows of one operation add up to: `increase` sums the positive amounts, `decrease`
    the negative ones, in units of 1e-8 FLOW. `unsummed` of the `rows` hold no exact amount."""

    operation_type: str
    rows: int
    increase: FlowAmount
    decrease: FlowAmount
    unsummed: int = 0

    @property
    def net(self) -> FlowAmount:
        """By how much the balances have changed altogether."""
        return FlowAmount(self.increase + self.decrease)

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "operationType": self.operation_type,
            "rows": self.rows,
            "increase": format_amount(self.increase),
            "decrease": format_amount(self.decrease),
            "net": format_amount(self.net),
            "unsummed": self.unsummed,
        }


def _decimal(amount: FlowAmount | None) -> str | None:
    return None if amount is None else format_amount(amount)
