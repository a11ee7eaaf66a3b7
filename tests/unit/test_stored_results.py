"""Results in pages of a store that counts what it is asked."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

import pytest

from shared.core.errors import LedgerUnreachable
from shared.core.outcome import Outcome, ReconciliationResult
from shared.ports.run_store import RunStore
from shared.services.stored_results import PAGE_RESULTS, StoredResults
from tests.unit.runs import RUN_ID, STARTED


class Pages:
    """The part of a RunStore that StoredResults uses, over `count` users; counts its calls."""

    def __init__(self, count: int) -> None:
        self.keys = [f"0x{number:016x}" for number in range(count)]
        self.listed: list[str | None] = []
        self.counted = 0
        self.outcomes: set[Sequence[Outcome] | None] = set()

    def list_results(
        self,
        run_id: UUID,
        *,
        after: str | None,
        limit: int,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        assert run_id == RUN_ID
        self.listed.append(after)
        self.outcomes.add(outcomes)
        keys = [key for key in self.keys if after is None or key > after][:limit]
        return [
            ReconciliationResult(user_address=key, outcome=Outcome.CORRECTED, timestamp=STARTED)
            for key in keys
        ]

    def count_results(self, run_id: UUID, outcomes: Sequence[Outcome] | None = None) -> int:
        assert run_id == RUN_ID
        self.counted += 1
        self.outcomes.add(outcomes)
        return len(self.keys)


def over(pages: Pages) -> StoredResults:
    return StoredResults(cast(RunStore, pages), RUN_ID)


def keys(results: Sequence[ReconciliationResult]) -> list[str]:
    return [result.user_address for result in results]


@pytest.mark.parametrize(
    "count", [0, 1, PAGE_RESULTS - 1, PAGE_RESULTS, PAGE_RESULTS + 1, 3 * PAGE_RESULTS + 5]
)
def test_iterates_over_all_in_key_order(count: int) -> None:
    pages = Pages(count)
    results = over(pages)
    assert keys(results) == pages.keys
    assert keys(results) == pages.keys, "and again from the start"
    assert len(results) == count
    assert bool(results) is (count > 0)


def test_iterating_reads_a_page_at_a_time_and_only_as_far_as_needed() -> None:
    pages = Pages(5 * PAGE_RESULTS)
    iterator = iter(over(pages))
    for _ in range(PAGE_RESULTS + 1):
        next(iterator)
    assert pages.listed == [None, pages.keys[PAGE_RESULTS - 1]]


def test_the_length_is_asked_for_once() -> None:
    pages = Pages(7)
    results = over(pages)
    assert (len(results), len(results), pages.counted) == (7, 7, 1)
    assert not pages.listed


@pytest.mark.parametrize("count", [1, 999, 1_000, 1_001, 2_500])
def test_an_index_finds_what_a_list_would(count: int) -> None:
    pages = Pages(count)
    results = over(pages)
    for index in {0, -1, count - 1, -count, count // 2, -(count // 2) - 1}:
        assert results[index].user_address == pages.keys[index]
    for index in (count, count + 5_000, -count - 1):
        with pytest.raises(IndexError):
            results[index]


def test_nobody_has_an_index_in_an_empty_run() -> None:
    for index in (0, -1, 1_000):
        with pytest.raises(IndexError):
            over(Pages(0))[index]


@pytest.mark.parametrize(
    "chosen",
    [
        slice(None),
        slice(3),
        slice(-3, None),
        slice(998, 1_003),
        slice(None, None, 700),
        slice(None, None, -1),
        slice(2_000, 1_000, -250),
        slice(9_000, 9_999),
    ],
)
def test_a_slice_is_what_a_list_would_give(chosen: slice) -> None:
    pages = Pages(2_500)
    assert keys(over(pages)[chosen]) == pages.keys[chosen]


def test_an_index_reads_no_page_twice_on_the_way_forward_or_back() -> None:
    pages = Pages(3 * PAGE_RESULTS)
    results = over(pages)
    assert keys(list(reversed(results))) == pages.keys[::-1]
    assert len(pages.listed) == 3 + 2, "three on the way to the last, then back over two"


def test_one_page_is_kept() -> None:
    pages = Pages(2 * PAGE_RESULTS)
    results = over(pages)
    assert [results[number].user_address for number in range(PAGE_RESULTS)]
    assert pages.listed == [None]


def test_only_those_with_some_outcomes_can_be_asked_for() -> None:
    pages = Pages(3)
    failures = StoredResults(cast(RunStore, pages), RUN_ID, (Outcome.FAILED,))
    assert (len(failures), len(list(failures))) == (3, 3)
    assert pages.outcomes == {(Outcome.FAILED,)}
    assert len(list(over(pages))) == 3
    assert pages.outcomes == {(Outcome.FAILED,), None}


def test_an_error_of_the_store_reaches_whoever_reads() -> None:
    class Broken(Pages):
        def list_results(self, *_: object, **__: object) -> list[ReconciliationResult]:
            raise LedgerUnreachable("down", remedy="Wait.")

    with pytest.raises(LedgerUnreachable):
        list(over(Broken(1)))
