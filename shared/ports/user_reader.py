"""All that the ledger knows of single users."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUser:
    """A row of the ledger.

    `balance` is the column's text, which need be no amount. An event at or below
    `reconciled_height` changes nothing any more, nor does a reconciliation from below
    `event_height`.
    """

    user_address: str
    balance: str | None
    reconciled_height: int | None = None
    reconciled_at: datetime | None = None
    event_height: int | None = None
    updated_at: datetime | None = None


class UserReader(Protocol):
    """Reads; may raise LedgerError."""

    def find(self, user_addresses: Sequence[str]) -> list[LedgerUser]:
        """The rows that exist among these keys, matched exactly as stored, in key order."""
