"""Balance reconciliation between a Supabase ledger and a Flow contract."""

from typing import TYPE_CHECKING, Any

from shared.api import reconcile_all_users, reconcile_user_balance
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Runs and their results are imported when they are asked for: one user needs neither."""
    if name == "Run":
        from shared.core.run import Run

        return Run
    if name == "SweepResult":
        from shared.core.sweep_result import SweepResult

        return SweepResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
