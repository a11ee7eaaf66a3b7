import threading
import time
from collections.abc import Generator

import pytest

from shared.services.pipeline import ahead


def count(until: int, made: list[int] | None = None) -> Generator[int, None, None]:
    for number in range(until):
        if made is not None:
            made.append(number)
        yield number


def pipeline_threads() -> int:
    return sum(thread.name == "ahead" for thread in threading.enumerate())


def test_yields_all_in_order() -> None:
    assert list(ahead(count(100))) == list(range(100))


def test_an_empty_source_yields_nothing() -> None:
    assert list(ahead(count(0))) == []


def test_stages_can_be_chained() -> None:
    def doubled() -> Generator[int, None, None]:
        for number in ahead(count(50)):
            yield 2 * number

    assert list(ahead(doubled())) == [2 * number for number in range(50)]


def test_an_error_is_raised_after_what_came_before_it() -> None:
    def breaking() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise LookupError("third")

    items = ahead(breaking())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="third"):
        next(items)
    assert pipeline_threads() == 0


@pytest.mark.parametrize("items_max", [1, 3])
def test_looks_ahead_no_further_than_allowed(items_max: int) -> None:
    made: list[int] = []
    items = ahead(count(100, made), items_max)
    next(items)
    time.sleep(0.3)
    # One handed out, `items_max` waiting, and one in the producer's hand.
    assert len(made) == items_max + 2
    items.close()


def test_closing_closes_the_source_in_its_own_thread() -> None:
    closed_in: list[str] = []

    def source() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed_in.append(threading.current_thread().name)

    items = ahead(source())
    assert next(items) == 0
    items.close()
    assert closed_in == ["ahead"]
    assert pipeline_threads() == 0


def test_closing_a_chain_closes_every_stage() -> None:
    closed = threading.Event()

    def inner() -> Generator[int, None, None]:
        try:
            yield from range(100)
        finally:
            closed.set()

    def outer() -> Generator[int, None, None]:
        yield from ahead(inner())

    items = ahead(outer())
    next(items)
    items.close()
    assert closed.wait(2)
    assert pipeline_threads() == 0


def test_nothing_starts_before_it_is_read() -> None:
    made: list[int] = []
    ahead(count(5, made))
    time.sleep(0.05)
    assert made == []


def test_the_producer_works_while_the_reader_is_busy() -> None:
    produced = threading.Event()

    def source() -> Generator[int, None, None]:
        yield 1
        produced.set()
        yield 2

    items = ahead(source())
    next(items)
    assert produced.wait(2)
    items.close()
