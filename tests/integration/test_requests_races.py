"""Callers against each other, over one key or one limit: with two real sessions, or with many.

A race is staged, never slept for: the first session holds its transaction open, the second is
started in a thread and seen to wait for a lock in pg_stat_activity, then the first commits.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from tests.integration.sessions import (
    DEADLINE_S,
    Connection,
    Json,
    call,
    commit,
    wait_until_blocked,
)
from tools.pgtap import scratch_database

ONE, OTHER = UUID(int=1), UUID(int=2)
SESSIONS = 8


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race."""
    with scratch_database(database_url, template) as url:
        yield url


def test_of_two_who_begin_at_once_one_carries_it_out(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    assert _begin(first, ONE)["state"] == "new"
    waiting = threads.submit(_begin, second, OTHER)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["state"] == "in_flight"


def test_who_waits_for_one_that_breaks_off_carries_it_out(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(first, ONE)
    waiting = threads.submit(_begin, second, OTHER)
    wait_until_blocked(observer, second)
    first.rollback()
    assert commit(second, waiting)["state"] == "new"


def test_an_answer_that_is_being_stored_is_waited_for(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, ONE)
    assert _finish(first, ONE)["stored"]
    waiting = threads.submit(_begin, second, OTHER)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["state"] == "done"


def test_who_answers_while_another_takes_the_request_over_is_too_late(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, ONE, lease_s=0.001)
    time.sleep(0.01)
    assert _begin(first, OTHER)["state"] == "new"
    waiting = threads.submit(_finish, second, ONE)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting) == {"stored": False}


def test_of_two_who_find_a_lease_over_one_takes_the_request(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, UUID(int=3), lease_s=0.001)
    time.sleep(0.01)
    assert _begin(first, ONE)["state"] == "new"
    waiting = threads.submit(_begin, second, OTHER)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["state"] == "in_flight"


def test_an_old_row_that_somebody_holds_stops_nobody(
    first: Connection, second: Connection, observer: Connection
) -> None:
    _begin(observer, ONE, "old", lease_s=0.001, ttl_s=0.001)
    time.sleep(0.01)
    assert _begin(first, OTHER, "old")["state"] == "new"  # holds the row
    assert _begin(second, OTHER, "new")["state"] == "new"  # would delete it
    second.commit()
    first.commit()
    assert _begin(observer, ONE, "old")["state"] == "in_flight"


def test_the_last_slot_of_a_minute_is_taken_once(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    assert _take(first, per_min=1) == 0
    waiting = threads.submit(_take, second, 1)
    wait_until_blocked(observer, second)
    first.commit()
    assert 0 < waiting.result(timeout=DEADLINE_S) <= 60


def test_a_limit_is_exact_whoever_asks(url: str, threads: ThreadPoolExecutor) -> None:
    def take(count: int) -> int:
        with psycopg.connect(url, autocommit=True) as session:
            return sum(_take(session, per_min=100) == 0 for _ in range(count))

    assert sum(threads.map(take, [25] * SESSIONS)) == 100


def _begin(
    session: Connection, token: UUID, key: str = "key", *, lease_s: float = 60, ttl_s: float = 3600
) -> Json:
    query = "select begin_request(%s, 'f', 'ops', 'hash', %s, %s, %s)"
    return call(session, query, key, ttl_s, lease_s, token)


def _finish(session: Connection, token: UUID) -> Json:
    return call(session, "select finish_request('key', 'f', 'ops', %s, 200, '{}')", token)


def _take(session: Connection, per_min: int) -> float:
    return float(call(session, "select take_request_slot('ops', %s)", per_min)["wait_s"])
