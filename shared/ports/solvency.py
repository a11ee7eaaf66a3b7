"""What a solvency check reads, and where it is kept."""

from typing import Protocol
from uuid import UUID

from shared.core.solvency import LedgerTotals, SolvencyCheck, SolvencyFinding, VaultBalances


class Vault(Protocol):
    """The contract's escrow vault. May raise ContractError."""

    def balances_at(self, block_height: int) -> VaultBalances:
        """The vault's balance and the contract's own total, by one script at that height."""


class SolvencyStore(Protocol):
    """The ledger's sums and the checks. Every method may raise LedgerError, and may be repeated."""

    def ledger_totals(self) -> LedgerTotals:
        """The sums of the ledger as of one moment, exact."""

    def record(self, finding: SolvencyFinding) -> SolvencyCheck:
        """Store a check; a confirmed mismatch gets an audit row in the same transaction.

        The same `check_id` again changes nothing and gives the first answer.
        """

    def list(self, *, before: UUID | None = None, limit: int = 50) -> list[SolvencyCheck]:
        """Checks, the newest first: those before the check `before`, 1,000 at most."""
