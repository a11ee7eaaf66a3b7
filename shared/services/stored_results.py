"""A run's results, read page by page from where they are stored: memory does not grow with them."""

from collections.abc import Iterator, Sequence
from typing import overload
from uuid import UUID

from shared.core.outcome import Outcome, ReconciliationResult
from shared.ports.run_store import RunStore

PAGE_RESULTS = 1_000


class StoredResults(Sequence[ReconciliationResult]):
    """Everyone of a run who is not in sync, or those with one of `outcomes`, in key order.

    Every use may raise LedgerError. Iterating keeps no result. An index keeps the page that it is
    on and, as a key is all that a page needs, where each page before it starts. The length is asked
    for once.
    """

    def __init__(
        self, store: RunStore, run_id: UUID, outcomes: Sequence[Outcome] | None = None
    ) -> None:
        self._store = store
        self._run_id = run_id
        self._outcomes = outcomes
        self._length: int | None = None
        self._starts: list[str | None] = [None]
        self._cached: tuple[int, list[ReconciliationResult]] = (-1, [])

    def __len__(self) -> int:
        if self._length is None:
            self._length = self._store.count_results(self._run_id, self._outcomes)
        return self._length

    def __iter__(self) -> Iterator[ReconciliationResult]:
        after: str | None = None
        while page := self._page_after(after):
            yield from page
            if len(page) < PAGE_RESULTS:
                return
            after = page[-1].user_address

    @overload
    def __getitem__(self, index: int) -> ReconciliationResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ReconciliationResult, ...]: ...
    def __getitem__(
        self, index: int | slice
    ) -> ReconciliationResult | tuple[ReconciliationResult, ...]:
        if isinstance(index, slice):
            return tuple(self._at(number) for number in range(*index.indices(len(self))))
        number = index + len(self) if index < 0 else index
        if number < 0:
            raise IndexError("a run has no result at this index")
        return self._at(number)

    def _at(self, number: int) -> ReconciliationResult:
        page_no, place = divmod(number, PAGE_RESULTS)
        page = self._page(page_no)
        if place >= len(page):
            raise IndexError("a run has no result at this index")
        return page[place]

    def _page(self, page_no: int) -> list[ReconciliationResult]:
        """The page of this number, reached from the nearest page whose start is known."""
        cached_no, page = self._cached
        if cached_no == page_no:
            return page
        for number in range(min(page_no, len(self._starts) - 1), page_no + 1):
            page = self._page_after(self._starts[number])
            self._cached = (number, page)
            if len(page) < PAGE_RESULTS:
                return page if number == page_no else []
            if number + 1 == len(self._starts):
                self._starts.append(page[-1].user_address)
        return page

    def _page_after(self, after: str | None) -> list[ReconciliationResult]:
        return self._store.list_results(
            self._run_id, after=after, limit=PAGE_RESULTS, outcomes=self._outcomes
        )
