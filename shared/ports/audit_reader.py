"""Reading the audit log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from shared.core.audit_row import AuditRow, AuditTotal


class AuditReader(Protocol):
    """The audit log, by pages. Every method may raise LedgerError; times are aware.

    `before` and `after` are the audit id of the last row of the page before; LedgerInvalidValue
    when there is no such row. A page shorter than `limit` (1 to 10,000) is the last.
    """

    def list_user(
        self, user_address: str, before: str | None = None, limit: int = 50
    ) -> list[AuditRow]:
        """A user's rows, the newest first; the key exactly as it is stored."""

    def list_period(
        self,
        since: datetime,
        until: datetime,
        after: str | None = None,
        limit: int = 1_000,
        operation_types: Sequence[str] | None = None,
    ) -> list[AuditRow]:
        """The rows with since <= created_at < until, the oldest first; None: of all operations."""

    def totals(self, since: datetime, until: datetime) -> list[AuditTotal]:
        """What those rows add up to, for each operation, by name."""
