"""Callers against each other, over one key or one limit: with two real sessions, or with many.

A race is staged, never slept for: the first session holds its transaction open, the second is
started in a thread and seen to wait for a lock in pg_stat_activity, then the first commits.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tools.pgtap import migrated_database, scratch_database

Json = dict[str, Any]
Connection = psycopg.Connection[tuple[Any, ...]]

ONE, OTHER = UUID(int=1), UUID(int=2)
SESSIONS = 8
DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def template(database_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    with migrated_database(database_url) as url:
        yield str(conninfo_to_dict(url)["dbname"])


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race."""
    with scratch_database(database_url, template) as url:
        yield url


@pytest.fixture
def first(url: str) -> Iterator[Connection]:
    with _session(url) as connection:
        yield connection


@pytest.fixture
def second(url: str) -> Iterator[Connection]:
    with _session(url) as connection:
        yield connection


@pytest.fixture
def observer(url: str) -> Iterator[Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as executor:
        yield executor


def test_of_two_who_begin_at_once_one_carries_it_out(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    assert _begin(first, ONE)["state"] == "new"
    waiting = threads.submit(_begin, second, OTHER)
    _wait_until_blocked(observer, second)
    first.commit()
    assert _commit(second, waiting)["state"] == "in_flight"


def test_who_waits_for_one_that_breaks_off_carries_it_out(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(first, ONE)
    waiting = threads.submit(_begin, second, OTHER)
    _wait_until_blocked(observer, second)
    first.rollback()
    assert _commit(second, waiting)["state"] == "new"


def test_an_answer_that_is_being_stored_is_waited_for(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, ONE)
    assert _finish(first, ONE)["stored"]
    waiting = threads.submit(_begin, second, OTHER)
    _wait_until_blocked(observer, second)
    first.commit()
    assert _commit(second, waiting)["state"] == "done"


def test_who_answers_while_another_takes_the_request_over_is_too_late(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, ONE, lease_s=0.001)
    time.sleep(0.01)
    assert _begin(first, OTHER)["state"] == "new"
    waiting = threads.submit(_finish, second, ONE)
    _wait_until_blocked(observer, second)
    first.commit()
    assert _commit(second, waiting) == {"stored": False}


def test_of_two_who_find_a_lease_over_one_takes_the_request(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _begin(observer, UUID(int=3), lease_s=0.001)
    time.sleep(0.01)
    assert _begin(first, ONE)["state"] == "new"
    waiting = threads.submit(_begin, second, OTHER)
    _wait_until_blocked(observer, second)
    first.commit()
    assert _commit(second, waiting)["state"] == "in_flight"


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
    _wait_until_blocked(observer, second)
    first.commit()
    assert 0 < waiting.result(timeout=DEADLINE_S) <= 60


def test_a_limit_is_exact_whoever_asks(url: str, threads: ThreadPoolExecutor) -> None:
    def take(count: int) -> int:
        with psycopg.connect(url, autocommit=True) as session:
            return sum(_take(session, per_min=100) == 0 for _ in range(count))

    assert sum(threads.map(take, [25] * SESSIONS)) == 100


def _session(url: str) -> Connection:
    """A session as PostgREST's: service_role, with the authenticator's statement_timeout."""
    connection = psycopg.connect(url, options="-c statement_timeout=8s")
    connection.execute("set role service_role")
    connection.commit()
    return connection


def _begin(
    session: Connection, token: UUID, key: str = "key", *, lease_s: float = 60, ttl_s: float = 3600
) -> Json:
    query = "select begin_request(%s, 'f', 'ops', 'hash', %s, %s, %s)"
    return _call(session, query, key, ttl_s, lease_s, token)


def _finish(session: Connection, token: UUID) -> Json:
    return _call(session, "select finish_request('key', 'f', 'ops', %s, 200, '{}')", token)


def _take(session: Connection, per_min: int) -> float:
    return float(_call(session, "select take_request_slot('ops', %s)", per_min)["wait_s"])


def _call(session: Connection, query: str, *parameters: Any) -> Json:
    row = session.execute(query.encode(), parameters).fetchone()
    assert row is not None
    answer: Json = row[0]
    return answer


def _commit(session: Connection, waiting: Future[Json]) -> Json:
    answer = waiting.result(timeout=DEADLINE_S)
    session.commit()
    return answer


def _wait_until_blocked(observer: Connection, session: Connection) -> None:
    deadline = time.monotonic() + DEADLINE_S
    query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
    while observer.execute(query, (session.info.backend_pid,)).fetchone() != (True,):
        assert time.monotonic() < deadline, "the session never waited"
        time.sleep(0.01)
