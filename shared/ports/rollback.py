"""Corrections that are taken back."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from shared.core.rollback import Rollback, RollbackPage


class Rollbacks(Protocol):
    """Rollbacks in the ledger, which hold the users in the same transaction.

    Every method may raise LedgerError. A call whose answer was lost is repeated safely: what it
    has rolled back is `already_rolled_back` then. `dry_run` writes nothing.
    """

    def roll_back(
        self, audit_ids: Sequence[str], admin_address: str, reason: str, *, dry_run: bool
    ) -> list[Rollback]:
        """Take back the corrections of these audit rows, 50,000 at most, each named once."""

    def roll_back_run(
        self,
        run_id: UUID,
        after: str | None,
        limit: int,
        admin_address: str,
        reason: str,
        *,
        dry_run: bool,
    ) -> RollbackPage:
        """Take back the next `limit` corrections of a run, by key, in one transaction.

        Raises RunNotFound, and RunNotApplicable while the run goes on.
        """
