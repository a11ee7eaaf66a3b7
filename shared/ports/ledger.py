"""The ledger: the mirror in Supabase."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

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

    def list_balances(
        self, after: str | None, limit: int, through: str | None = None
    ) -> LedgerPage:
        """The next `limit` rows in key order with after < key <= through (None: no bound).

        A page shorter than `limit` is the last of its range.
        """

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
