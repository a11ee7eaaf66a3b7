"""Are we whole? What the ledger says that users own, against the escrow vault and the contract.

V is the vault's balance, L the ledger's total and C the contract's own total, both of the contract
at one block; a difference below the tolerance is none. The first row that fits is the state:

| state | when | means |
|---|---|---|
| `solvent` | V = L and C = L | whole |
| `contract_short` | V < C | the vault does not cover what the contract owes |
| `deficit` | V < L | the ledger promises more than the vault holds |
| `surplus` | V > L | the vault holds more than the ledger promises |
| `contract_mismatch` | V = L, C < L | the vault covers the ledger, and the contract owes less |

`unreadable`: one of them could not be read, which says nothing of the money.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.core.amount import ZERO, FlowAmount, format_amount
from shared.core.outcome import iso_utc


class SolvencyState(StrEnum):
    SOLVENT = "solvent"
    SURPLUS = "surplus"
    DEFICIT = "deficit"
    CONTRACT_MISMATCH = "contract_mismatch"
    CONTRACT_SHORT = "contract_short"
    UNREADABLE = "unreadable"

    @property
    def is_mismatch(self) -> bool:
        """The sums were read, and do not agree."""
        return self not in (SolvencyState.SOLVENT, SolvencyState.UNREADABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerTotals:
    """The ledger in sums; amounts in units of 1e-8 FLOW.

    `total` has the balances below zero as they are (`negative_users`, `negative_total`), and leaves
    out the rows that hold no amount (`unusable_users`). `respelled_users`: rows beyond one for each
    account; None when they were too many to count.
    """

    total: FlowAmount
    users: int
    negative_users: int = 0
    negative_total: FlowAmount = ZERO
    unusable_users: int = 0
    respelled_users: int | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultBalances:
    """What the vault holds and what the contract owes, at one block, in units of 1e-8 FLOW."""

    vault_balance: FlowAmount
    contract_total: FlowAmount


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvencyReading:
    """Both sides as they were read: the ledger first, then the contract at `block_height`."""

    ledger: LedgerTotals
    contract: VaultBalances
    block_height: int

    @property
    def difference(self) -> FlowAmount:
        """Vault − ledger, signed."""
        return FlowAmount(self.contract.vault_balance - self.ledger.total)

    @property
    def contract_difference(self) -> FlowAmount:
        """The contract's own total − ledger, signed."""
        return FlowAmount(self.contract.contract_total - self.ledger.total)

    def state(self, tolerance: FlowAmount) -> SolvencyState:
        """See the table above."""
        if abs(self.difference) < tolerance and abs(self.contract_difference) < tolerance:
            return SolvencyState.SOLVENT
        if self.contract.contract_total - self.contract.vault_balance >= tolerance:
            return SolvencyState.CONTRACT_SHORT
        if self.difference <= -tolerance:
            return SolvencyState.DEFICIT
        if self.difference >= tolerance:
            return SolvencyState.SURPLUS
        return SolvencyState.CONTRACT_MISMATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvencyFinding:
    """What a check has found, to be recorded.

    `reading` None: it is unreadable, and `error_code` and `error` say why. `confirmed`: a mismatch
    that was still there when both sides were read again.
    """

    check_id: UUID
    admin_address: str
    tolerance: FlowAmount
    state: SolvencyState
    confirmed: bool = False
    reading: SolvencyReading | None = None
    error_code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SolvencyCheck:
    """A check as it is stored. Amounts in units of 1e-8 FLOW, None when it is `unreadable`.

    `since`: when the first check of this state in a row was made. `audit_id`: the audit row of a
    confirmed mismatch; if there could be none, `error_code` says why.
    """

    check_id: UUID
    checked_at: datetime
    admin_address: str
    state: SolvencyState
    confirmed: bool
    since: datetime
    tolerance: FlowAmount
    block_height: int | None = None
    ledger_total: FlowAmount | None = None
    ledger_users: int | None = None
    negative_users: int | None = None
    negative_total: FlowAmount | None = None
    unusable_users: int | None = None
    respelled_users: int | None = None
    vault_balance: FlowAmount | None = None
    contract_total: FlowAmount | None = None
    audit_id: str | None = None
    error_code: str | None = None
    error: str | None = None

    @property
    def difference(self) -> FlowAmount | None:
        """Vault − ledger, signed."""
        return _minus(self.vault_balance, self.ledger_total)

    @property
    def contract_difference(self) -> FlowAmount | None:
        """The contract's own total − ledger, signed."""
        return _minus(self.contract_total, self.ledger_total)

    @property
    def is_mismatch(self) -> bool:
        """The sums were read, and do not agree; whether that lasted is `confirmed`."""
        return self.state.is_mismatch

    def as_json(self) -> dict[str, Any]:
        """Amounts as decimal strings with 8 places, times as ISO 8601 in UTC."""
        return {
            "checkId": str(self.check_id),
            "checkedAt": iso_utc(self.checked_at),
            "adminAddress": self.admin_address,
            "state": str(self.state),
            "confirmed": self.confirmed,
            "since": iso_utc(self.since),
            "blockHeight": self.block_height,
            "ledgerTotal": _text(self.ledger_total),
            "ledgerUsers": self.ledger_users,
            "vaultBalance": _text(self.vault_balance),
            "contractTotal": _text(self.contract_total),
            "difference": _text(self.difference),
            "contractDifference": _text(self.contract_difference),
            "tolerance": format_amount(self.tolerance),
            "negativeUsers": self.negative_users,
            "negativeTotal": _text(self.negative_total),
            "unusableUsers": self.unusable_users,
            "respelledUsers": self.respelled_users,
            "auditId": self.audit_id,
            "errorCode": self.error_code,
            "error": self.error,
        }


def _minus(left: FlowAmount | None, right: FlowAmount | None) -> FlowAmount | None:
    return None if left is None or right is None else FlowAmount(left - right)


def _text(amount: FlowAmount | None) -> str | None:
    return None if amount is None else format_amount(amount)
