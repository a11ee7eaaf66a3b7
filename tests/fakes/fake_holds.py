"""Holds in memory, with the semantics of supabase/migrations 015 (docs/sql-api.md)."""

from collections.abc import Callable
from dataclasses import replace

from shared.core.errors import LedgerInvalidValue, UserNotFound
from shared.core.hold import Hold, HoldChange, HoldOutcome
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.faults import Faulty

HOLDS_MAX = 10_000


class FakeHolds(Faulty):
    """Implements the port `Holds` over the rows and the holds of a fake ledger."""

    def __init__(self, ledger: FakeLedger, clock: FakeClock) -> None:
        super().__init__(ledger.lock)
        self._ledger = ledger
        self._clock = clock

    def hold(self, user_address: str, admin_address: str, reason: str) -> HoldChange:
        with self._call("hold", [user_address]):
            require_admin_and_reason(admin_address, reason)
            if user_address not in self._ledger.rows:
                raise UserNotFound("the ledger has no such user", remedy="Look it up.")
            active = self._ledger.hold_of(user_address)
            if active is not None:
                return _change(active, HoldOutcome.ALREADY_HELD)
            hold = Hold(
                user_address=user_address,
                held_at=self._clock.now(),
                held_by=admin_address,
                reason=reason,
            )
            self._ledger.holds.append(hold)
            return _change(hold, HoldOutcome.HELD)

    def release(
        self, user_address: str, admin_address: str, reason: str | None = None
    ) -> HoldChange:
        with self._call("release", [user_address]):
            require_admin_and_reason(admin_address, "released" if reason is None else reason)
            active = self._ledger.hold_of(user_address)
            if active is None:
                mine = self._of_user(user_address)
                last = mine[0] if mine else None
                return HoldChange(
                    user_address=user_address, outcome=HoldOutcome.NOT_HELD, hold=last
                )
            released = replace(
                active,
                released_at=self._clock.now(),
                released_by=admin_address,
                release_reason=reason,
            )
            self._ledger.holds[self._ledger.holds.index(active)] = released
            return _change(released, HoldOutcome.RELEASED)

    def list_holds(self, after: str | None, limit: int) -> list[Hold]:
        with self._call("list_holds"):
            if not 1 <= limit <= HOLDS_MAX:
                raise _invalid("p_limit")
            active = [each for each in self._ledger.holds if each.released_at is None]
            later = [each for each in active if after is None or each.user_address > after]
            return sorted(later, key=lambda each: each.user_address)[:limit]

    def list_user_holds(self, user_address: str, limit: int = 100) -> list[Hold]:
        with self._call("list_user_holds", [user_address]):
            return self._of_user(user_address)[:limit]

    def _of_user(self, key: str) -> list[Hold]:
        """The newest first."""
        return [each for each in reversed(self._ledger.holds) if each.user_address == key]

    def _begin(self) -> Callable[[], None]:
        return self._ledger._begin()


def require_admin_and_reason(admin_address: str, reason: str) -> None:
    """Raises LedgerInvalidValue as the procedures do."""
    if not admin_address.strip(" ") or len(admin_address) > 200:
        raise _invalid("p_admin_address")
    if not reason.strip(" ") or len(reason) > 500:
        raise _invalid("p_reason")


def _change(hold: Hold, outcome: HoldOutcome) -> HoldChange:
    return HoldChange(user_address=hold.user_address, outcome=outcome, hold=hold)


def _invalid(what: str) -> LedgerInvalidValue:
    return LedgerInvalidValue(f"the database refuses a value ({what})", remedy="Nothing changed.")
