import threading

import pytest

from shared.adapters.rate_limit import RateLimit
from tests.fakes.fake_clock import FakeClock


def test_the_first_call_does_not_wait_and_the_next_are_spaced_evenly() -> None:
    clock = FakeClock()
    limit = RateLimit(5, clock)
    for _ in range(4):
        limit.wait()
    assert clock.sleeps == pytest.approx([0.2, 0.2, 0.2])


def test_calls_that_are_slow_anyway_do_not_wait() -> None:
    clock = FakeClock()
    limit = RateLimit(5, clock)
    for _ in range(3):
        limit.wait()
        clock.advance(0.3)
    assert clock.sleeps == []


def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    clock = FakeClock()
    limit = RateLimit(5, clock)
    limit.wait()
    clock.advance(100)
    limit.wait()
    limit.wait()
    assert clock.sleeps == pytest.approx([0.2])


def test_zero_means_no_limit() -> None:
    clock = FakeClock()
    limit = RateLimit(0, clock)
    for _ in range(1000):
        limit.wait()
    assert clock.sleeps == []


def test_threads_share_the_pace() -> None:
    clock = FakeClock()
    limit = RateLimit(10, clock)
    threads = [threading.Thread(target=limit.wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whichever order they came in: the eighth turn is 0.7 s after the first.
    assert limit._next_s == pytest.approx(0.8)
