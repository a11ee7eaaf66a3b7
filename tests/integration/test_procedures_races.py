"""The procedures against each other: every race with two real sessions on a real PostgreSQL.

A race is staged, never slept for: the first session holds its transaction open, the second is
started in a thread and seen to wait for a lock in pg_stat_activity, then the first commits.
"""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal

import psycopg
import pytest
from psycopg import errors

from tests.integration.sessions import (
    DEADLINE_S,
    Connection,
    Json,
    commit,
    one,
    open_session,
    wait_until_blocked,
)
from tools.pgtap import scratch_database

ALICE = "0x0000000000000001"
BOB = "0x0000000000000002"
NEW_USER = "0x00000000000000aa"
RUN = uuid.UUID(int=1)


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race, with Alice at 10 and Bob at 20 FLOW."""
    with scratch_database(database_url, template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "insert into user_balances (user_address, balance) values (%s, 10), (%s, 20)",
                (ALICE, BOB),
            )
        yield url


def test_a_reconcile_waits_for_the_row_and_compares_afterwards(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, ALICE, 11)
    waiting = threads.submit(_reconcile, second, ALICE, 12)
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert (answer["old_balance"], answer["new_balance"]) == ("11.00000000", "12.00000000")
    assert _audit(observer, ALICE) == [("10", "11"), ("11", "12")]


def test_a_wait_for_a_lock_ends_with_lock_not_available(
    first: Connection, second: Connection
) -> None:
    _reconcile(first, ALICE, 11)

    began = time.monotonic()
    with pytest.raises(errors.LockNotAvailable):
        _reconcile(second, ALICE, 12)

    assert 4.5 < time.monotonic() - began < 7.5


def test_a_batch_waiting_for_a_lock_ends_with_lock_not_available(
    first: Connection, second: Connection
) -> None:
    _reconcile(first, ALICE, 11)

    with pytest.raises(errors.LockNotAvailable):
        _reconcile_batch(second, [BOB, ALICE], [21, 12], [20, 10])


def test_two_creators_of_one_user_make_one_row(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, NEW_USER, 5)
    waiting = threads.submit(_reconcile, second, NEW_USER, 6)
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert (answer["old_balance"], answer["new_balance"]) == ("5.00000000", "6.00000000")
    assert _audit(observer, NEW_USER) == [("0", "5"), ("5", "6")]


def test_a_creator_goes_on_when_the_other_rolls_back(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, NEW_USER, 5)
    waiting = threads.submit(_reconcile, second, NEW_USER, 6)
    wait_until_blocked(observer, second)

    first.rollback()
    answer = commit(second, waiting)

    assert (answer["old_balance"], answer["new_balance"]) == ("0.00000000", "6.00000000")
    assert _audit(observer, NEW_USER) == [("0", "6")]


def test_a_batch_that_loses_the_creation_reports_changed_meanwhile(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile_batch(first, [NEW_USER], [5], [None])
    waiting = threads.submit(_reconcile_batch, second, [NEW_USER, ALICE], [6, 11], [None, 10])
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert answer["outcomes"] == ["changed_meanwhile", "corrected"]
    assert _audit(observer, NEW_USER) == [("0", "5")]


def test_an_event_and_a_reconcile_create_one_user(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _apply_event(first, NEW_USER, 5, 10, "deposit")
    waiting = threads.submit(_reconcile, second, NEW_USER, 5, height=10)
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert (answer["success"], answer["discrepancy"]) == (True, "0.00000000")


def test_batches_in_opposite_order_do_not_deadlock(
    url: str,
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
) -> None:
    # A third session holds the lower key, so both batches have begun to lock when the race starts.
    with open_session(url) as holder:
        _reconcile(holder, ALICE, 10)
        forward = threads.submit(_reconcile_batch, first, [ALICE, BOB], [11, 21], [10, 20])
        backward = threads.submit(_reconcile_batch, second, [BOB, ALICE], [22, 12], [20, 10])
        wait_until_blocked(observer, first)
        wait_until_blocked(observer, second)
        # Neither holds Bob: whoever gets Alice gets both.
        observer.execute(
            "select from user_balances where user_address = %s for update nowait", (BOB,)
        )
        holder.commit()
    outcomes = _commit_whichever_is_done(first, forward, second, backward)

    assert sorted(outcomes) == [
        ["changed_meanwhile", "changed_meanwhile"],
        ["corrected", "corrected"],
    ]


def test_many_overlapping_batches_finish_without_deadlock(
    url: str, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    users = [f"0x{n:016x}" for n in range(100, 400)]
    observer.execute(
        "insert into user_balances (user_address, balance) select unnest(%s::text[]), 1", (users,)
    )
    new_users = [f"0x{n:016x}" for n in range(1000, 1050)]

    def run_batches(backwards: bool) -> int:
        corrected = 0
        with psycopg.connect(url, autocommit=True) as session:
            for height in range(1, 21):
                addresses = sorted([*users, *new_users], reverse=backwards)
                expected = [1 if a in users and height == 1 else None for a in addresses]
                amounts = [height + 1] * len(addresses)
                answer = _reconcile_batch(session, addresses, amounts, expected, height)
                corrected += answer["outcomes"].count("corrected")
        return corrected

    done = [threads.submit(run_batches, backwards) for backwards in (False, True, False, True)]
    corrected = sum(future.result(timeout=60) for future in done)

    (audited,) = one(observer, "select count(*) from balance_audit_log")
    assert corrected == audited == len(users) + len(new_users)


def test_the_loser_of_a_compare_and_set_reports_changed_meanwhile(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile_batch(first, [ALICE, BOB], [11, 20], [10, 20])
    waiting = threads.submit(_reconcile_batch, second, [ALICE, BOB], [12, 22], [10, 20])
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert answer["outcomes"] == ["changed_meanwhile", "corrected"]
    assert _balance(observer, ALICE) == 11
    assert _balance(observer, BOB) == 22


def test_the_single_procedure_loses_a_compare_and_set_too(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, ALICE, 11)
    waiting = threads.submit(_reconcile, second, ALICE, 12, expected=10)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["code"] == "changed_meanwhile"
    assert _balance(observer, ALICE) == 11


def test_a_row_deleted_meanwhile_is_not_brought_back(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    first.execute("delete from user_balances where user_address = %s", (ALICE,))
    waiting = threads.submit(_reconcile_batch, second, [ALICE, BOB], [11, 21], [10, 20])
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["outcomes"] == ["changed_meanwhile", "corrected"]
    assert one(observer, "select count(*) from user_balances") == (1,)


def test_an_event_before_a_reconcile_makes_an_older_read_stale(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _apply_event(first, ALICE, 5, 101, "deposit")
    waiting = threads.submit(_reconcile, second, ALICE, 10, height=100)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["code"] == "stale_height"
    assert _balance(observer, ALICE) == 15


def test_an_event_after_a_reconcile_that_holds_it_is_not_added(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile_batch(first, [ALICE], [15], [10], height=101)
    waiting = threads.submit(_apply_event, second, ALICE, 5, 101, "deposit")
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["reason"] == "already_reconciled"
    assert _balance(observer, ALICE) == 15


def test_an_event_after_a_reconcile_of_an_earlier_block_is_added(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, ALICE, 15, height=100)
    waiting = threads.submit(_apply_event, second, ALICE, 5, 101, "deposit")
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["applied"] is True
    assert _balance(observer, ALICE) == 20


@pytest.mark.parametrize("user", [ALICE, NEW_USER])
def test_an_event_that_arrives_twice_at_once_is_added_once(
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
    user: str,
) -> None:
    before = _balance(observer, user) or 0
    _apply_event(first, user, 5, 101, "deposit")
    waiting = threads.submit(_apply_event, second, user, 5, 101, "deposit")
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["reason"] == "duplicate"
    assert _balance(observer, user) == before + 5


@pytest.mark.parametrize("user", [ALICE, NEW_USER])
def test_a_retry_of_a_run_that_is_still_going_on_corrects_once(
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
    user: str,
) -> None:
    answer = _reconcile(first, user, 15, run=RUN)
    waiting = threads.submit(_reconcile, second, user, 15, run=RUN)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting) == answer
    assert len(_audit(observer, user)) == 1


@pytest.mark.parametrize(("user", "expected"), [(ALICE, 10), (NEW_USER, None)])
def test_a_retry_of_a_batch_that_is_still_going_on_corrects_once(
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
    user: str,
    expected: int | None,
) -> None:
    answer = _reconcile_batch(first, [user], [15], [expected], run=RUN)
    waiting = threads.submit(_reconcile_batch, second, [user], [15], [expected], run=RUN)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting) == answer
    assert answer["outcomes"] == ["corrected"]
    assert len(_audit(observer, user)) == 1


def test_audit_rows_are_in_the_order_of_the_locks(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    # The second transaction begins first, so its now() would be the earlier one.
    second.execute("select now()")
    _reconcile(first, ALICE, 11)
    waiting = threads.submit(_reconcile, second, ALICE, 12)
    wait_until_blocked(observer, second)
    first.commit()
    commit(second, waiting)

    times = observer.execute("select created_at from balance_audit_log order by id").fetchall()
    assert times == sorted(times)


def _reconcile(
    session: Connection,
    user: str,
    balance: int,
    expected: int | None = None,
    height: int | None = None,
    run: uuid.UUID | None = None,
) -> Json:
    query = "select reconcile_user_balance(%s, %s, 'ADMIN', %s, %s, %s)::text"
    (answer,) = one(session, query, user, Decimal(balance), expected, height, run)
    return _object(answer)


def _reconcile_batch(
    session: Connection,
    users: list[str],
    balances: list[int],
    expected: list[int | None],
    height: int = 1,
    run: uuid.UUID | None = None,
) -> Json:
    query = (
        "select reconcile_user_balances(%s, %s::numeric[], %s::numeric[], %s, 'ADMIN', %s)::text"
    )
    (answer,) = one(session, query, users, balances, expected, height, run)
    return _object(answer)


def _apply_event(session: Connection, user: str, delta: int, height: int, event: str) -> Json:
    query = "select apply_balance_event(%s, %s, %s, %s)::text"
    (answer,) = one(session, query, user, Decimal(delta), height, event)
    return _object(answer)


def _commit_whichever_is_done(
    first: Connection, forward: Future[Json], second: Connection, backward: Future[Json]
) -> list[list[str]]:
    """Commits the one that got the locks, then the one that waited for it."""
    deadline = time.monotonic() + DEADLINE_S
    while not (forward.done() or backward.done()):
        assert time.monotonic() < deadline, "neither batch got its locks"
        time.sleep(0.01)
    pairs = [(first, forward), (second, backward)]
    if backward.done():
        pairs.reverse()
    return [commit(session, waiting)["outcomes"] for session, waiting in pairs]


def _balance(observer: Connection, user: str) -> Decimal | None:
    row = observer.execute(
        "select balance from user_balances where user_address = %s", (user,)
    ).fetchone()
    return row[0] if row else None


def _audit(observer: Connection, user: str) -> list[tuple[str, str]]:
    rows = observer.execute(
        """
        select trim_scale(balance_before)::text, trim_scale(balance_after)::text
        from balance_audit_log where user_address = %s order by id
        """,
        (user,),
    )
    return [(before, after) for before, after in rows]


def _object(text: str) -> Json:
    answer: Json = json.loads(text)
    return answer
