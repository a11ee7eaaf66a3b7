"""Holds: place, release and list them. A user may be named by any spelling of the address."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from shared.core.address import check_key, normal_form, spellings
from shared.core.admin import check_admin_address
from shared.core.errors import AmbiguousAddress
from shared.core.hold import Hold, HoldChange, check_reason
from shared.ports.clock import Clock
from shared.ports.holds import Holds
from shared.ports.ledger import Ledger
from shared.services.retry import Backoff, with_retry

T = TypeVar("T")


class HoldKeeper:
    """Every call may be repeated: holding who is held, or releasing who is not, changes nothing."""

    def __init__(
        self, holds: Holds, ledger: Ledger, clock: Clock, backoff: Backoff | None = None
    ) -> None:
        self._holds = holds
        self._ledger = ledger
        self._clock = clock
        self._backoff = backoff or Backoff()

    def hold(self, user_address: str, admin_address: str, reason: str) -> HoldChange:
        """No corrections of this user until a release.

        Raises UserNotFound, InvalidAddress, AmbiguousAddress, InvalidAdmin, InvalidReason,
        LedgerError.
        """
        admin, why = check_admin_address(admin_address), check_reason(reason)
        key = self._key(user_address)
        return self._retry(lambda: self._holds.hold(key, admin, why))

    def release(
        self, user_address: str, admin_address: str, reason: str | None = None
    ) -> HoldChange:
        """Let corrections go on; the next sweep looks at the user as at everybody.

        Raises InvalidAddress, AmbiguousAddress, InvalidAdmin, InvalidReason, LedgerError.
        """
        admin = check_admin_address(admin_address)
        why = None if reason is None else check_reason(reason)
        key = self._key(user_address)
        return self._retry(lambda: self._holds.release(key, admin, why))

    def active(self, user_address: str) -> Hold | None:
        """The hold of the user of exactly this key, if there is one. Raises LedgerError."""
        newest = self.of_user(user_address, limit=1)
        return newest[0] if newest and newest[0].released_at is None else None

    def list(self, after: str | None = None, limit: int = 1_000) -> list[Hold]:
        """The next `limit` active holds in key order, 10,000 at most; a shorter list is the last.

        Raises InvalidAddress, LedgerError.
        """
        start = None if after is None else check_key(after)
        return self._retry(lambda: self._holds.list_holds(start, limit))

    def of_user(self, user_address: str, limit: int = 100) -> Sequence[Hold]:
        """All holds of exactly this key, the newest first. Raises LedgerError."""
        return self._retry(lambda: self._holds.list_user_holds(user_address, limit))

    def _key(self, given: str) -> str:
        """The key that the ledger has this user under, or is holding it under; else as given."""
        if normal_form(check_key(given)) is None:
            return given
        page = self._retry(lambda: self._ledger.get_balances(spellings(given)))
        found = sorted({*page.user_addresses, *page.held})
        if not found or given in found:
            return given
        if len(found) > 1:
            raise AmbiguousAddress(
                f"the ledger holds {given} {len(found)} times, as {', '.join(found)}",
                remedy="Name the one that is meant as it is stored.",
            )
        return found[0]

    def _retry(self, call: Callable[[], T]) -> T:
        return with_retry(call, self._clock, self._backoff)
