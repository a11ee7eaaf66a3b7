"""Who is held, and who was."""

from typing import Protocol

from shared.core.hold import Hold, HoldChange


class Holds(Protocol):
    """Holds, kept with the ledger. Every method may raise LedgerError, and may be repeated."""

    def hold(self, user_address: str, admin_address: str, reason: str) -> HoldChange:
        """Hold the user of exactly this key. Raises UserNotFound when the ledger has no row."""

    def release(
        self, user_address: str, admin_address: str, reason: str | None = None
    ) -> HoldChange:
        """Release the user who is held under exactly this key."""

    def list_holds(self, after: str | None, limit: int) -> list[Hold]:
        """The next `limit` active holds in key order; a shorter list is the last."""

    def list_user_holds(self, user_address: str, limit: int = 100) -> list[Hold]:
        """All holds of exactly this key, the newest first."""
