"""Balance reconciliation between a Supabase ledger and a Flow contract."""

from shared.api import reconcile_all_users, reconcile_user_balance
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run
from shared.core.sweep_result import SweepResult

__all__ = [
    "Outcome",
    "ReconcileError",
    "ReconciliationResult",
    "Run",
    "SweepResult",
    "reconcile_all_users",
    "reconcile_user_balance",
]
