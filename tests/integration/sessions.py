"""Two sessions of one database, and what a race between them is staged with."""

import time
from concurrent.futures import Future
from typing import Any

import psycopg

Json = dict[str, Any]
Connection = psycopg.Connection[tuple[Any, ...]]

DEADLINE_S = 10.0


def open_session(url: str) -> Connection:
    """A session as PostgREST's: service_role, with the authenticator's statement_timeout."""
    connection = psycopg.connect(url, options="-c statement_timeout=8s")
    connection.execute("set role service_role")
    connection.commit()
    return connection


def commit(session: Connection, waiting: Future[Json]) -> Json:
    """The answer of the call that a thread makes in this session, which is committed then."""
    answer = waiting.result(timeout=DEADLINE_S)
    session.commit()
    return answer


def wait_until_blocked(observer: Connection, session: Connection) -> None:
    """Return once the session waits for a lock."""
    deadline = time.monotonic() + DEADLINE_S
    query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
    while one(observer, query, session.info.backend_pid) != (True,):
        assert time.monotonic() < deadline, "the session did not wait for a lock"
        time.sleep(0.01)


def call(session: Connection, query: str, *parameters: object) -> Json:
    """The JSON that a procedure answers."""
    answer: Json = one(session, query, *parameters)[0]
    return answer


def one(session: Connection, query: str, *parameters: object) -> tuple[Any, ...]:
    """The first row."""
    row = session.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row
