"""Rollbacks and holds against corrections, events and each other, with two real sessions."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.sessions import (
    Connection,
    Json,
    call,
    commit,
    one,
    wait_until_blocked,
)
from tools.pgtap import scratch_database

ALICE = "0x0000000000000001"
BOB = "0x0000000000000002"


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race; Alice and Bob were corrected from 10 to 11 FLOW."""
    with scratch_database(database_url, template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "insert into user_balances (user_address, balance) values (%s, 10), (%s, 10)",
                (ALICE, BOB),
            )
            for user in (ALICE, BOB):
                connection.execute(
                    "select reconcile_user_balance(%s, 11, p_block_height => 5)", (user,)
                )
        yield url


def test_two_rollbacks_of_one_correction_write_one_row(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    mine = _roll_back(first, "1")
    waiting = threads.submit(_roll_back, second, "1")
    wait_until_blocked(observer, second)

    first.commit()
    theirs = commit(second, waiting)

    assert (mine["outcomes"], theirs["outcomes"]) == (["rolled_back"], ["already_rolled_back"])
    assert theirs["rollback_audit_ids"] == mine["rollback_audit_ids"]
    assert _operations(observer, ALICE) == ["reconciliation", "reconciliation_rollback"]


def test_a_rollback_goes_on_when_the_other_is_undone(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _roll_back(first, "1")
    waiting = threads.submit(_roll_back, second, "1")
    wait_until_blocked(observer, second)

    first.rollback()

    assert commit(second, waiting)["outcomes"] == ["rolled_back"]
    assert _holds(observer) == [ALICE]


def test_a_correction_that_waits_for_a_rollback_finds_the_user_held(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _roll_back(first, "1")
    waiting = threads.submit(_reconcile, second, 12)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["code"] == "user_held"
    assert _balance(observer, ALICE) == "10.00000000"


def test_a_batch_that_waits_for_a_rollback_finds_its_users_held(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _roll_back(first, "1")
    waiting = threads.submit(_reconcile_batch, second, [BOB, ALICE], [12, 11], [11, 11])
    wait_until_blocked(observer, second)

    first.commit()

    # The row moved too, but who is held need not be read again.
    assert commit(second, waiting)["outcomes"] == ["corrected", "held"]
    assert _balance(observer, ALICE) == "10.00000000"


def test_a_rollback_that_waits_for_a_correction_finds_the_balance_moved(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _reconcile(first, 12)
    waiting = threads.submit(_roll_back, second, "1", "2")
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert answer["outcomes"] == ["refused", "rolled_back"]
    assert answer["codes"] == ["changed_meanwhile", None]
    assert _holds(observer) == [BOB]


def test_a_rollback_that_waits_for_an_event_finds_the_balance_moved(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _apply_event(first, 3)
    waiting = threads.submit(_roll_back, second, "1")
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["codes"] == ["changed_meanwhile"]
    assert _balance(observer, ALICE) == "14.00000000"


def test_an_event_that_waits_for_a_rollback_is_added_to_what_it_left(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    _roll_back(first, "1")
    waiting = threads.submit(_apply_event, second, 3)
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    assert (answer["old_balance"], answer["new_balance"]) == ("10.00000000", "13.00000000")
    assert _is_chained(observer)


def test_a_correction_that_waits_for_a_hold_is_refused(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    call(first, "select hold_user(%s, 'alice', 'disputed')", ALICE)
    waiting = threads.submit(_reconcile, second, 12)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["code"] == "user_held"


def test_two_holds_of_one_user_are_one(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    query = "select hold_user(%s, 'alice', 'disputed')"
    call(first, query, ALICE)
    waiting = threads.submit(call, second, query, ALICE)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["outcome"] == "already_held"
    assert _holds(observer) == [ALICE]


def test_rollbacks_in_opposite_order_do_not_deadlock(
    url: str,
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
) -> None:
    # A third session holds the lower key, so both have begun to lock when the race starts.
    with psycopg.connect(url) as holder:
        holder.execute("select from user_balances where user_address = %s for update", (ALICE,))
        forward = threads.submit(_roll_back, first, "1", "2")
        backward = threads.submit(_roll_back, second, "2", "1")
        wait_until_blocked(observer, first)
        wait_until_blocked(observer, second)
        holder.rollback()

    # Whoever was first: the other waits for its commit.
    done = [threads.submit(commit, first, forward), threads.submit(commit, second, backward)]
    outcomes = sorted(each.result()["outcomes"] for each in done)

    assert outcomes == [["already_rolled_back"] * 2, ["rolled_back"] * 2]
    assert _is_chained(observer)


def test_a_run_that_was_rolled_back_while_its_worker_retried_stays_so(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run_id = str(uuid.UUID(int=7))
    batch = [ALICE], [12], [11], run_id
    assert _reconcile_batch(first, *batch)["outcomes"] == ["corrected"]
    first.commit()
    _roll_back(first, "3")
    waiting = threads.submit(_reconcile_batch, second, *batch)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting)["outcomes"] == ["corrected"], "what the run did is told"
    assert _balance(observer, ALICE) == "11.00000000", "and not done again"


def _roll_back(session: Connection, *audit_ids: str) -> Json:
    return call(session, "select rollback_user_balances(%s, 'alice', 'ticket 7')", list(audit_ids))


def _reconcile(session: Connection, balance: int) -> Json:
    query = "select reconcile_user_balance(%s, %s::integer, p_block_height => 6)"
    return call(session, query, ALICE, balance)


def _reconcile_batch(
    session: Connection,
    users: list[str],
    balances: list[int],
    expected: list[int],
    run_id: str | None = None,
) -> Json:
    return call(
        session,
        "select reconcile_user_balances(%s, %s::numeric[], %s::numeric[], 6, 'ADMIN', %s)",
        users,
        balances,
        expected,
        run_id,
    )


def _apply_event(session: Connection, delta: int) -> Json:
    query = "select apply_balance_event(%s, %s::integer, 7, 'deposit-1')"
    return call(session, query, ALICE, delta)


def _balance(observer: Connection, user: str) -> str:
    query = "select balance::text from user_balances where user_address = %s"
    return str(one(observer, query, user)[0])


def _operations(observer: Connection, user: str) -> list[str]:
    query = "select operation_type from balance_audit_log where user_address = %s order by id"
    return [row[0] for row in observer.execute(query, (user,)).fetchall()]


def _holds(observer: Connection) -> list[str]:
    query = "select user_address from reconciliation_holds where released_at is null order by 1"
    return [row[0] for row in observer.execute(query).fetchall()]


def _is_chained(observer: Connection) -> bool:
    """Does each audit row follow the one before, and the ledger name the last one?"""
    query = """
        select not exists (
            select from balance_audit_log a
            left join balance_audit_log p
                on p.user_address = a.user_address and p.chain_no = a.chain_no - 1
            where a.previous_hash is distinct from p.row_hash
        ) and not exists (
            select from user_balances b
            where b.audit_hash is distinct from (
                select a.row_hash from balance_audit_log a
                where a.user_address = b.user_address order by a.chain_no desc limit 1)
        )"""
    return bool(one(observer, query)[0])
