"""Scan: go through the whole ledger and find who differs. Writes nothing, so a dry run is this."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from shared.core.amount import FlowAmount
from shared.core.compare import (
    Candidate,
    ContractBalances,
    Failure,
    LedgerPage,
    chain_addresses,
    compare,
)
from shared.core.policy import Policy
from shared.core.review import ScanCounts
from shared.ports import Ledger
from shared.services.pipeline import ahead
from shared.services.read_contract import ContractReader

OnUsers = Callable[[int], None]
"""Called with the number of users done so far."""
ShouldStop = Callable[[], bool]


@dataclass(slots=True)
class Scan:
    """What a scan has found so far; grows with the discrepancies, not with the users."""

    users: int = 0
    in_sync: int = 0
    funded: int = 0
    funded_reading_zero: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    first_height: int | None = None
    last_height: int | None = None
    interrupted: bool = False

    @property
    def surplus(self) -> FlowAmount:
        """The sum of the positive discrepancies, in units of 1e-8 FLOW."""
        found = (candidate.discrepancy for candidate in self.candidates)
        return FlowAmount(sum(each for each in found if each > 0))

    @property
    def deficit(self) -> FlowAmount:
        """The sum of the negative discrepancies: zero or below, in units of 1e-8 FLOW."""
        found = (candidate.discrepancy for candidate in self.candidates)
        return FlowAmount(sum(each for each in found if each < 0))

    def counts(self) -> ScanCounts:
        """The counts that the review judges."""
        return ScanCounts(
            users=self.users,
            in_sync=self.in_sync,
            differing=len(self.candidates),
            unread=len(self.failures),
            funded=self.funded,
            funded_reading_zero=self.funded_reading_zero,
        )


class Scanner:
    """Reads the ledger by pages and the contract by a script a page, both ahead of comparing."""

    def __init__(self, ledger: Ledger, contract: ContractReader, policy: Policy) -> None:
        self._ledger = ledger
        self._contract = contract
        self._policy = policy

    def scan(self, on_users: OnUsers, should_stop: ShouldStop) -> Scan:
        """Look at every user once. Raises ReconcileError when the users cannot be listed or asked
        about at all; single users' errors are in the result's failures."""
        scan = Scan()
        for page, contract in ahead(self._readings()):
            self._take(scan, page, contract)
            on_users(scan.users)
            if should_stop():
                scan.interrupted = True
                break
        return scan

    def _readings(self) -> Generator[tuple[LedgerPage, ContractBalances], None, None]:
        for page in ahead(self._pages()):
            # The height is taken after the ledger was read: what the ledger already contains
            # of the chain is then at or below it.
            height = self._contract.latest_height()
            yield page, self._contract.read(chain_addresses(page), height)

    def _pages(self) -> Generator[LedgerPage, None, None]:
        after: str | None = None
        while True:
            page = self._ledger.list_balances(after, self._policy.batch_size)
            if not page:
                return
            yield page
            # A short page is not taken for the last one: only an empty page is the end.
            after = page.user_addresses[-1]

    def _take(self, scan: Scan, page: LedgerPage, contract: ContractBalances) -> None:
        found = compare(page, contract, self._policy.tolerance)
        scan.users += len(page)
        scan.in_sync += found.in_sync
        scan.funded += found.funded
        scan.funded_reading_zero += found.funded_reading_zero
        scan.candidates.extend(found.candidates)
        scan.failures.extend(found.failures)
        if scan.first_height is None:
            scan.first_height = contract.block_height
        scan.last_height = contract.block_height
