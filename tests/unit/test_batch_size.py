import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.services.batch_size import BatchSize


def work(size: BatchSize, scripts: int, limit: int) -> list[int]:
    """The size of each script, when scripts of more than `limit` users are refused."""
    asked = []
    for _ in range(scripts):
        asked.append(size.current)
        if size.current <= limit:
            size.worked(size.current)
        else:
            size.too_large(size.current)
    return asked


def test_starts_at_the_maximum_and_stays_there_while_all_goes_well() -> None:
    size = BatchSize(1_000)
    assert work(size, 500, limit=5_000) == [1_000] * 500
    assert size.largest == 1_250


def test_a_refused_size_is_halved_at_once() -> None:
    size = BatchSize(1_000)
    size.too_large(1_200)
    assert size.current == 600
    size.too_large(600)
    assert size.current == 300


def test_grows_back_by_a_quarter_after_some_successes_up_to_the_maximum() -> None:
    size = BatchSize(1_000)
    size.too_large(1_000)
    assert sorted(set(work(size, 20, limit=10_000))) == [500, 625, 750]
    size.worked(1_000)
    assert set(work(size, 20, limit=10_000)) == {1_000}


def test_a_refused_size_that_works_after_all_was_not_refused_for_its_size() -> None:
    size = BatchSize(1_000)
    size.too_large(1_000)
    assert size.largest == 625
    size.worked(1_000)
    assert (size.current, size.largest) == (1_000, 1_250)


def test_does_not_run_into_a_known_limit_every_time_but_probes_again_rarely() -> None:
    size = BatchSize(10_000)
    asked = work(size, 2_000, limit=900)
    refused = [each for each in asked if each > 900]
    assert len(refused) < 2_000 / 50
    settled = asked[100:]
    assert sum(settled) / len(settled) > 0.5 * 900


def test_finds_the_maximum_again_once_the_limit_is_gone() -> None:
    size = BatchSize(10_000)
    work(size, 100, limit=900)
    work(size, 1_000, limit=100_000)
    assert size.current == 10_000


@pytest.mark.parametrize("size_refused", [0, 1, 2, 3, 499])
def test_trouble_with_a_few_users_says_nothing_about_the_size(size_refused: int) -> None:
    size = BatchSize(1_000)
    size.too_large(size_refused)
    assert size.current == 1_000


def test_the_success_of_a_few_users_says_nothing_about_the_size() -> None:
    size = BatchSize(1_000)
    size.too_large(1_000)
    for _ in range(1_000):
        size.worked(10)
    assert size.current == 500


@given(
    st.integers(1, 50_000),
    st.lists(st.tuples(st.booleans(), st.integers(0, 70_000)), max_size=60),
)
def test_stays_between_one_and_the_maximum_whatever_happens(
    users_max: int, events: list[tuple[bool, int]]
) -> None:
    size = BatchSize(users_max)
    for worked, users in events:
        (size.worked if worked else size.too_large)(users)
        assert 1 <= size.current <= users_max
        assert 1 <= size.largest <= users_max * 5 // 4


def test_a_limit_of_one_user_leads_to_single_users() -> None:
    size = BatchSize(1_000)
    assert work(size, 20, limit=1)[-1] == 1
    assert size.largest == 1


def test_threads_may_share_it() -> None:
    size = BatchSize(10_000)
    threads = [threading.Thread(target=lambda: work(size, 500, limit=700)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= size.current <= 10_000
