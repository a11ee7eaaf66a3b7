"""Gather → decide → apply: this is the deciding. Ledger rows + contract balances → candidates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from shared.core.address import FlowAddress, normal_form, parse_address
from shared.core.amount import ZERO, FlowAmount, parse_amount
from shared.core.errors import InvalidInput, InvalidLedgerBalance, ReconcileError


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A contiguous range of ledger rows in key order, as parallel sequences.

    `balances` are decimal strings as PostgreSQL writes numeric(20,8), None for NULL. `absent` are
    users that were asked for by name and have no row: they hold zero. `held` are the keys of users
    whom an admin holds: they are compared, and not corrected.
    """

    user_addresses: Sequence[str]
    balances: Sequence[str | None]
    absent: Sequence[str] = ()
    held: frozenset[str] = frozenset()

    def __len__(self) -> int:
        """How many users the page is about, those without a row included."""
        return len(self.user_addresses) + len(self.absent)

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """(user_address, balance) in key order."""
        return zip(self.user_addresses, self.balances, strict=True)


@dataclass(frozen=True, slots=True)
class ContractBalances:
    """What the contract answered at one block height.

    `balances` has every address that was read; `errors` every one that could not be, each asked
    about is in exactly one of them. `script_calls` were made for it, those that failed included.
    """

    block_height: int
    balances: Mapping[FlowAddress, FlowAmount]
    errors: Mapping[FlowAddress, ReconcileError] = field(default_factory=dict)
    script_calls: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user whose two balances differ: what both sides said, and at which height.

    `row_exists` False: the ledger has no row of this user yet, and `ledger_balance` is zero.
    """

    user_address: str
    ledger_balance: FlowAmount
    contract_balance: FlowAmount
    block_height: int
    row_exists: bool = True

    @property
    def discrepancy(self) -> FlowAmount:
        """Contract − ledger, signed, in units of 1e-8 FLOW."""
        return FlowAmount(self.contract_balance - self.ledger_balance)


@dataclass(frozen=True, slots=True)
class Failure:
    """A user who could not be looked at, and why."""

    user_address: str
    error: ReconcileError
    ledger_balance: FlowAmount | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every row of a page is in exactly one of: in_sync, candidates, held, failures.

    `held` are those who differ and would be candidates, were they not held. `funded` counts rows
    with money in the ledger, `funded_reading_zero` those of them for which the contract says zero:
    what the safety stop watches. Users whom an admin holds, in sync or not, are in neither.
    """

    in_sync: int
    candidates: Sequence[Candidate]
    failures: Sequence[Failure]
    funded: int = 0
    funded_reading_zero: int = 0
    held: Sequence[Candidate] = ()


def chain_addresses(page: LedgerPage) -> list[FlowAddress]:
    """The addresses to ask the contract about: each once, malformed keys left out."""
    normal = (normal_form(key) for key in chain(page.user_addresses, page.absent))
    return list(dict.fromkeys(address for address in normal if address is not None))


def compare(page: LedgerPage, contract: ContractBalances, tolerance: FlowAmount) -> Comparison:
    """Set a ledger page against the contract's balances. Pure; never raises for a user's data."""
    in_sync = funded = funded_reading_zero = 0
    candidates: list[Candidate] = []
    held: list[Candidate] = []
    failures: list[Failure] = []
    for key, text in page.rows():
        try:
            ledger = _ledger_balance(text)
            truth = _contract_balance(key, contract)
        except ReconcileError as error:
            failures.append(Failure(key, error))
            continue
        if ledger and key not in page.held:
            funded += 1
            funded_reading_zero += not truth
        if abs(truth - ledger) < tolerance:
            in_sync += 1
        else:
            differing = held if key in page.held else candidates
            differing.append(Candidate(key, ledger, truth, contract.block_height))
    for key in page.absent:
        try:
            truth = _contract_balance(key, contract)
        except ReconcileError as error:
            failures.append(Failure(key, error))
            continue
        if truth < tolerance:
            in_sync += 1
        else:
            missing = Candidate(key, ZERO, truth, contract.block_height, row_exists=False)
            (held if key in page.held else candidates).append(missing)
    return Comparison(in_sync, candidates, failures, funded, funded_reading_zero, held)


def _ledger_balance(text: str | None) -> FlowAmount:
    if text is None:
        raise InvalidLedgerBalance(
            "the ledger's balance is NULL",
            remedy="Reconcile this user on its own (reconcile --user), or set the balance to 0.",
        )
    try:
        return parse_amount(text, field="the ledger's balance")
    except InvalidInput as error:
        raise InvalidLedgerBalance(error.fault, remedy=error.remedy) from error


def _contract_balance(key: str, contract: ContractBalances) -> FlowAmount:
    balance = contract.balances.get(FlowAddress(key))  # most keys are stored in normal form
    if balance is not None:
        return balance
    address = parse_address(key)
    if address in contract.errors:
        raise contract.errors[address]
    return contract.balances[address]
