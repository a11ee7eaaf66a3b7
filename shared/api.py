"""The two calls that most callers need. Synchronous; fine inside a running event loop too."""

from typing import TYPE_CHECKING

from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.outcome import ReconciliationResult

if TYPE_CHECKING:  # one user's reconcile starts without what a sweep needs
    from shared.core.sweep_result import SweepResult


def reconcile_user_balance(
    user_address: str, admin_address: str = DEFAULT_ADMIN_ADDRESS
) -> ReconciliationResult:
    """Correct one user's ledger balance to the contract's, with an audit row.

    Errors of either side come back in the result (`success` False, `error`, `error_code`) and
    leave the ledger as it was. Raises InvalidSettings when the settings are missing or wrong.
    """
    from shared.bootstrap import services  # here, because importing both clients takes a second

    return services().user_reconciler.reconcile(user_address, admin_address)


def reconcile_all_users(
    admin_address: str = DEFAULT_ADMIN_ADDRESS, dry_run: bool = False
) -> "SweepResult":
    """Find everyone whose balances differ and, unless `dry_run`, correct them.

    Returns a sequence with one result for each user who was not in sync or failed, in key order,
    and `.summary` with the counts of all. A halted run (`.summary.halt`) has written nothing.
    Raises ReconcileError when the users cannot be listed or asked about at all.
    """
    from shared.bootstrap import services

    asked_for = services()
    swept = asked_for.sweeper.sweep(admin_address, dry_run=dry_run)
    if not dry_run:
        asked_for.announcer.announce_quietly()
    return swept
