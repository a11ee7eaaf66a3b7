"""The port `UserReader` over the ledger in memory."""

from collections.abc import Sequence

from shared.core.amount import format_amount
from shared.ports.user_reader import LedgerUser
from tests.fakes.fake_ledger import FakeLedger, Row


class FakeUserReader:
    """Its users are the ledger's rows."""

    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger

    def find(self, user_addresses: Sequence[str]) -> list[LedgerUser]:
        rows = self._ledger.rows
        return [self._user(key, rows[key]) for key in sorted(set(user_addresses) & rows.keys())]

    def _user(self, key: str, row: Row) -> LedgerUser:
        return LedgerUser(
            user_address=key,
            balance=format_amount(row.balance) if isinstance(row.balance, int) else row.balance,
            reconciled_height=row.reconciled_height,
            event_height=row.event_height,
        )
