"""Observers, announcers and senders against each other: with two real sessions, or with many.

A race is staged, never slept for: the first session holds its transaction open, the second is
started in a thread and seen to wait for a lock in pg_stat_activity, then the first commits.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from tests.integration.sessions import Connection, Json, call, commit, one, wait_until_blocked
from tools.pgtap import scratch_database

ONE, OTHER = UUID(int=1), UUID(int=2)
RUN_ID = UUID(int=3)
OBSERVERS = 8


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race."""
    with scratch_database(database_url, template) as url:
        yield url


def test_of_two_who_see_it_begin_one_tells(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    assert _observe(first, "bad")["event"] == "opened"
    waiting = threads.submit(_observe, second, "bad")
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["deliveries"] == 0
    assert _told(observer) == ["opened bad"]


def test_who_waits_for_one_that_breaks_off_tells(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _observe(first, "bad")
    waiting = threads.submit(_observe, second, "bad")
    wait_until_blocked(observer, second)
    first.rollback()
    assert commit(second, waiting)["event"] == "opened"
    assert _told(observer) == ["opened bad"]


def test_of_two_who_see_it_change_one_tells(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _observe(observer, "bad")
    assert _observe(first, "worse")["event"] == "changed"
    waiting = threads.submit(_observe, second, "worse")
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["deliveries"] == 0
    assert _told(observer) == ["opened bad", "changed worse"]


def test_of_two_who_see_it_end_one_tells(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _observe(observer, "bad")
    assert _observe(first, None)["event"] == "resolved"
    waiting = threads.submit(_observe, second, None)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting) == {"event": None, "alert_id": None, "deliveries": 0}
    assert _told(observer) == ["opened bad", "resolved bad"]


def test_what_is_seen_while_another_ends_it_begins_anew(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _observe(observer, "bad")
    _observe(first, None)
    waiting = threads.submit(_observe, second, "bad")
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting)["event"] == "opened"
    assert _told(observer) == ["opened bad", "resolved bad", "opened bad"]


def test_many_observers_make_one_message(
    url: str, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    def observe(_: int) -> int:
        with psycopg.connect(url, autocommit=True) as session:
            return sum(int(_observe(session, "bad")["deliveries"]) for _ in range(5))

    assert sum(threads.map(observe, range(OBSERVERS))) == 1
    assert _told(observer) == ["opened bad"]
    assert one(observer, "select times from reconciliation_alerts") == (5 * OBSERVERS,)


def test_of_two_announcers_one_announces(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    observer.execute(
        "insert into reconciliation_runs (run_id, kind, state, dry_run, needs_approval,"
        " admin_address, policy, finished_at)"
        " values (%s, 'full', 'finished', false, false, 'ADMIN', '{}', now())",
        (RUN_ID,),
    )
    assert _announce(first)["announced"]
    waiting = threads.submit(_announce, second)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting) == {"announced": False, "deliveries": 0}
    assert _told(observer) == ["opened bad"]


def test_a_message_that_is_being_leased_is_nobody_elses(
    first: Connection, second: Connection, observer: Connection
) -> None:
    _observe(observer, "bad")
    assert _lease(first, ONE) == ["bad"]
    assert _lease(second, OTHER) == []  # and it has not waited
    second.commit()
    first.commit()
    assert _lease(observer, OTHER) == []


def test_who_finishes_while_another_takes_the_message_over_is_too_late(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _observe(observer, "bad")
    _lease(observer, ONE, lease_s=0.001)
    time.sleep(0.01)
    assert _lease(first, OTHER) == ["bad"]
    finish = "select finish_alert_delivery(min(delivery_id), %s) from"
    query = f"{finish} reconciliation_alert_deliveries"
    waiting = threads.submit(call, second, query, ONE)
    wait_until_blocked(observer, second)
    first.commit()
    assert commit(second, waiting) == {"stored": False}


def _alert(state: str | None) -> str | None:
    if state is None:
        return None
    held = {"severity": "warning", "state": state, "summary": state, "remedy": "Look."}
    return json.dumps({**held, "facts": {}})


def _observe(session: Connection, state: str | None) -> Json:
    query = "select observe_alert('audit_broken', %s, null, array['a'])"
    return call(session, query, _alert(state))


def _announce(session: Connection) -> Json:
    query = "select announce_reconciliation_run(%s, %s, array['a'])"
    observations = [{"kind": "run_failed", "alert": json.loads(_alert("bad") or "")}]
    return call(session, query, RUN_ID, json.dumps(observations))


def _lease(session: Connection, token: UUID, *, lease_s: float = 60) -> list[str]:
    leased = one(session, "select lease_alert_deliveries('{a}', %s, %s, 10, 5)", token, lease_s)
    return [each["message"]["summary"] for each in leased[0]]


def _told(session: Connection) -> list[str]:
    query = "select event || ' ' || (message ->> 'summary') from reconciliation_alert_deliveries"
    return [row[0] for row in session.execute(f"{query} order by delivery_id".encode())]
