"""Scan: look at the users of leased chunks and find who differs. Writes no balance, no audit row.

Leasing, listing the ledger and asking the contract each wait for another machine, so each runs
ahead of the next in a thread of its own, by one item: memory stays that of a few pages.
"""

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace

from shared.core.address import FlowAddress, normal_form, spellings
from shared.core.compare import (
    Candidate,
    ContractBalances,
    Failure,
    LedgerPage,
    chain_addresses,
    compare,
)
from shared.core.errors import ReconcileError
from shared.core.policy import Policy
from shared.core.run import Lease
from shared.ports.ledger import Ledger
from shared.ports.run_store import ScanFound
from shared.services.pipeline import ahead
from shared.services.read_contract import ContractReader

ROWS_MAX = 50_000
"""What the procedures take and give in one call."""


@dataclass(frozen=True, slots=True)
class _Page:
    """`contract` None: not asked yet, or nobody to ask about.

    `addresses` are made with the page: while the node is at work on the one before, that is free.
    """

    lease: Lease
    page: LedgerPage
    addresses: list[FlowAddress]
    is_last: bool
    contract: ContractBalances | None = None


@dataclass(frozen=True, slots=True)
class _Broken:
    lease: Lease
    error: ReconcileError


@dataclass(slots=True)
class _Scan:
    """What the pages of one chunk have shown so far."""

    users: int = 0
    in_sync: int = 0
    funded: int = 0
    funded_reading_zero: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    held: list[Candidate] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    script_calls: int = 0

    def take(self, page: LedgerPage, contract: ContractBalances, policy: Policy) -> None:
        found = compare(page, contract, policy.tolerance)
        self.users += len(page)
        self.in_sync += found.in_sync
        self.funded += found.funded
        self.funded_reading_zero += found.funded_reading_zero
        self.candidates.extend(found.candidates)
        self.held.extend(found.held)
        self.failures.extend(found.failures)
        self.heights.append(contract.block_height)
        self.script_calls += contract.script_calls

    def found(self) -> ScanFound:
        return ScanFound(
            users=self.users,
            in_sync=self.in_sync,
            funded=self.funded,
            funded_reading_zero=self.funded_reading_zero,
            candidates=self.candidates,
            held=self.held,
            failures=self.failures,
            first_height=min(self.heights, default=None),
            last_height=max(self.heights, default=None),
            script_calls=self.script_calls,
        )


class Scanner:
    """Reads the ledger by pages and the contract by a script a page."""

    def __init__(self, ledger: Ledger, contract: ContractReader) -> None:
        self._ledger = ledger
        self._contract = contract

    def scan(
        self, leases: Generator[Lease, None, None], policy: Policy
    ) -> Generator[tuple[Lease, ScanFound | ReconcileError], None, None]:
        """What was found in each chunk, in the order of the leases, or why it cannot be scanned.

        Errors of single users are in the chunk's failures. Raises what `leases` raises.
        """
        scan = _Scan()
        with closing(ahead(self._readings(ahead(self._pages(leases, policy))))) as pages:
            for each in pages:
                if isinstance(each, _Broken):
                    scan = _Scan()
                    yield each.lease, each.error
                    continue
                if each.contract is not None:
                    scan.take(each.page, each.contract, policy)
                if each.is_last:
                    found, scan = scan.found(), _Scan()
                    yield each.lease, found

    def _pages(
        self, leases: Generator[Lease, None, None], policy: Policy
    ) -> Generator[_Page | _Broken, None, None]:
        with closing(leases):
            for lease in leases:
                try:
                    yield from self._lease_pages(lease, policy)
                except ReconcileError as error:
                    yield _Broken(lease, error)

    def _lease_pages(self, lease: Lease, policy: Policy) -> Generator[_Page, None, None]:
        if lease.user_addresses is None:
            yield from self._range_pages(lease, policy)
        else:
            page = self._named_page(lease.user_addresses)
            yield _Page(lease, page, chain_addresses(page), is_last=True)

    def _range_pages(self, lease: Lease, policy: Policy) -> Generator[_Page, None, None]:
        after = lease.after
        # Twice the batch: a chunk that has grown since it was planned is mostly still one page.
        limit = min(ROWS_MAX, 2 * policy.batch_size)
        while True:
            page = self._ledger.list_balances(after, limit, lease.through)
            is_last = len(page) < limit
            yield _Page(lease, page, chain_addresses(page), is_last)
            if is_last:
                return
            after = page.user_addresses[-1]

    def _named_page(self, user_addresses: tuple[str, ...]) -> LedgerPage:
        page = self._ledger.get_balances(_keys(user_addresses))
        present = {normal_form(key) for key in page.user_addresses}
        asked = filter(None, map(normal_form, user_addresses))
        absent = sorted({address for address in asked if address not in present})
        return replace(page, absent=absent)

    def _readings(
        self, pages: Generator[_Page | _Broken, None, None]
    ) -> Generator[_Page | _Broken, None, None]:
        broken: Lease | None = None
        # Closed by name: an error that is handed on keeps these frames, and so what they iterate
        # over, alive.
        with closing(pages):
            for each in pages:
                if each.lease is broken:  # the rest of a chunk that has failed already
                    continue
                read = self._read(each) if isinstance(each, _Page) and len(each.page) else each
                if isinstance(read, _Broken):
                    broken = read.lease
                yield read

    def _read(self, each: _Page) -> _Page | _Broken:
        try:
            # The height is taken after the ledger was read: what the ledger already contains of
            # the chain is then at or below it.
            height = self._contract.latest_height()
            contract = self._contract.read(each.addresses, height)
        except ReconcileError as error:
            return _Broken(each.lease, error)
        return replace(each, contract=contract)


def _keys(user_addresses: tuple[str, ...]) -> list[str]:
    """Every key under which the ledger may hold these users."""
    keys: dict[str, None] = {}
    for address in user_addresses:
        usual = spellings(address) if normal_form(address) else (address,)
        keys.update(dict.fromkeys(usual))
    return list(keys)
