"""What the services need of the outside world. Adapters implement these; fakes do so in tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.core.compare import LedgerPage
from shared.core.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One row of a set-based write. `expected_balance` None = no such row existed when read."""

    user_address: str
    contract_balance: FlowAmount
    expected_balance: FlowAmount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a procedure answered for one user; balances in units of 1e-8 FLOW."""

    outcome: Outcome
    old_balance: FlowAmount | None
    new_balance: FlowAmount | None
    audit_id: str | None = None
    code: str | None = None
    error: str | None = None


class Ledger(Protocol):
    """The mirror in Supabase. Every method may raise LedgerError.

    A write that raised changed nothing or, when only its answer was lost, is repeated safely
    under the same run id.
    """

    def count_users(self) -> int:
        """How many rows the ledger has."""

    def list_balances(self, after: str | None, limit: int) -> LedgerPage:
        """The next `limit` rows in key order after the key `after` (None: from the start)."""

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        """The rows that exist among these keys, matched exactly as stored, in any order."""

    def correct_user(
        self,
        correction: Correction,
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> Written:
        """Correct one user, with an audit row even when nothing differs.

        `expected_balance` None makes no condition. Raises LedgerRefused with the procedure's code.
        """

    def correct_users(
        self,
        corrections: Sequence[Correction],
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> list[Written]:
        """Correct many users in one transaction, compare-and-set; one answer each, in order."""


class Contract(Protocol):
    """The source of truth on chain. Every method may raise ContractError."""

    def latest_height(self) -> int:
        """The height of the latest sealed block."""

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        """One script for all of these users at that height; one balance each, in order."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, aware, in UTC."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""

    def sleep(self, duration_s: float) -> None:
        """Wait."""
