"""A ledger that is asked again when a retry may help.

Every write carries a run id, so that a write whose answer was lost is reported, not repeated.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from shared.core.compare import LedgerPage
from shared.core.errors import LedgerLockTimeout, LedgerRefused, ReconcileError
from shared.ports.clock import Clock
from shared.ports.ledger import Correction, Ledger, Written
from shared.services.retry import Backoff, with_retry

T = TypeVar("T")


class RetryingLedger:
    """Implements the port `Ledger` over another; a refusal by the procedure is not retried."""

    def __init__(self, ledger: Ledger, clock: Clock, backoff: Backoff | None = None) -> None:
        self._ledger = ledger
        self._clock = clock
        self._backoff = backoff or Backoff()

    def count_users(self) -> int:
        return self._retry(self._ledger.count_users)

    def list_balances(
        self, after: str | None, limit: int, through: str | None = None
    ) -> LedgerPage:
        return self._retry(lambda: self._ledger.list_balances(after, limit, through))

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        return self._retry(lambda: self._ledger.get_balances(user_addresses))

    def correct_user(
        self, correction: Correction, *, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        return self._retry(
            lambda: self._ledger.correct_user(
                correction, block_height=block_height, admin_address=admin_address, run_id=run_id
            )
        )

    def correct_users(
        self,
        corrections: Sequence[Correction],
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> list[Written]:
        return self._retry(
            lambda: self._ledger.correct_users(
                corrections, block_height=block_height, admin_address=admin_address, run_id=run_id
            ),
            # One locked row stops them all: the caller splits, which asks again for the others.
            unless=(LedgerRefused, LedgerLockTimeout),
        )

    def _retry(
        self,
        call: Callable[[], T],
        unless: tuple[type[ReconcileError], ...] = (LedgerRefused,),
    ) -> T:
        return with_retry(call, self._clock, self._backoff, unless=unless)
