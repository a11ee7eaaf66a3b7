"""Audit rows for tests."""

from datetime import timedelta

from shared.core.amount import FlowAmount
from shared.core.audit_row import AuditRow
from tests.unit.runs import STARTED
from tests.unit.users import user


def audit_row(number: int, **changes: object) -> AuditRow:
    """The row of this id: the user 1 is corrected by `number` units, `number` seconds after the
    beginning, with some fields replaced."""
    fields: dict[str, object] = {
        "audit_id": str(number),
        "user_address": user(1),
        "operation_type": "reconciliation",
        "amount": FlowAmount(number),
        "balance_before": FlowAmount(5),
        "balance_after": FlowAmount(5 + number),
        "transaction_hash": "reconciliation_by_alice",
        "created_at": STARTED + timedelta(seconds=number),
        "block_height": 7,
        "chain_no": number,
    }
    return AuditRow(**{**fields, **changes})  # type: ignore[arg-type]


def rolled_back(number: int, reverses: int) -> AuditRow:
    """A row that takes another back."""
    return audit_row(
        number,
        operation_type="reconciliation_rollback",
        amount=FlowAmount(-reverses),
        balance_before=FlowAmount(5 + reverses),
        balance_after=FlowAmount(5),
        transaction_hash="rollback_by_alice",
        reason="a wrong contract address",
        reverses_audit_id=str(reverses),
    )
