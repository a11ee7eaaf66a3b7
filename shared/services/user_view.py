"""One user as both sides know them now, for a person to look at. Nothing is written."""

from dataclasses import dataclass

from shared.core.address import normal_form, parse_address, spellings
from shared.core.amount import FlowAmount, parse_amount
from shared.core.errors import InvalidInput, ReconcileError
from shared.core.policy import Policy
from shared.ports.clock import Clock
from shared.ports.user_reader import LedgerUser, UserReader
from shared.services.read_contract import ContractReader
from shared.services.retry import Backoff, with_retry


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """Amounts in units of 1e-8 FLOW.

    `user_address` is in normal form, unless the ledger's key is no Flow address. `row` None: the
    ledger does not have the user; `also_stored_as`: rows that spell the same address.
    `ledger_balance` None: no row, or no amount in it. `contract_error` says why there is no
    `contract_balance`; neither is ever taken for zero. `in_sync` None: not known.
    """

    user_address: str
    row: LedgerUser | None
    also_stored_as: tuple[str, ...] = ()
    ledger_balance: FlowAmount | None = None
    contract_balance: FlowAmount | None = None
    block_height: int | None = None
    contract_error: ReconcileError | None = None
    tolerance: FlowAmount

    @property
    def key(self) -> str:
        """The user's key as the ledger has it, or would have it."""
        return self.user_address if self.row is None else self.row.user_address

    @property
    def discrepancy(self) -> FlowAmount | None:
        """Contract minus ledger; None when a side is not known. Who has no row has nothing."""
        known = self.row is None or self.ledger_balance is not None
        if self.contract_balance is None or not known:
            return None
        return FlowAmount(self.contract_balance - (self.ledger_balance or 0))

    @property
    def in_sync(self) -> bool | None:
        """Is the difference below the tolerance?"""
        return None if self.discrepancy is None else abs(self.discrepancy) < self.tolerance


class UserLookup:
    """Reads both sides of one user."""

    def __init__(
        self, users: UserReader, contract: ContractReader, clock: Clock, policy: Policy
    ) -> None:
        self._users = users
        self._contract = contract
        self._clock = clock
        self._policy = policy

    def find(self, user_address: str) -> UserView:
        """The ledger's row first, then the contract at a newer named height.

        Of several spellings the one that was asked for is taken, else the first. Raises
        LedgerError, and InvalidAddress for what is neither an address nor a key of the ledger;
        what the contract's side fails with is in the answer.
        """
        address = normal_form(user_address)
        keys = (user_address,) if address is None else spellings(user_address)
        rows = with_retry(lambda: self._users.find(keys), self._clock, Backoff())
        row = next((each for each in rows if each.user_address == user_address), None)
        row = row or next(iter(rows), None)
        if row is None:
            parse_address(user_address)
        balance, height, error = self._read(user_address)
        return UserView(
            user_address=address or user_address,
            row=row,
            also_stored_as=tuple(each.user_address for each in rows if each is not row),
            ledger_balance=None if row is None else _amount(row.balance),
            contract_balance=balance,
            block_height=height,
            contract_error=error,
            tolerance=self._policy.tolerance,
        )

    def _read(
        self, user_address: str
    ) -> tuple[FlowAmount | None, int | None, ReconcileError | None]:
        height = None
        try:
            address = parse_address(user_address)
            height = self._contract.latest_height()
            answer = self._contract.read([address], height)
        except ReconcileError as error:
            return None, height, error
        return answer.balances.get(address), height, answer.errors.get(address)


def _amount(text: str | None) -> FlowAmount | None:
    try:
        return None if text is None else parse_amount(text)
    except InvalidInput:
        return None
