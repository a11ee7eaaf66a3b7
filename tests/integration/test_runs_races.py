"""Workers of one run against each other: every race with two real sessions on a real PostgreSQL.

A race is staged, never slept for: the first session holds its transaction open, the second is
started in a thread and seen to wait for a lock in pg_stat_activity, then the first commits.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.integration.sessions import Connection, Json, call, commit, one, wait_until_blocked
from tools.pgtap import scratch_database

USERS = [f"0x{number:016x}" for number in range(1, 41)]
POLICY = json.dumps(
    {
        "tolerance": "0.00000001",
        "batch_size": 1,
        "settle_s": 0,
        "halt_share": 1,
        "halt_min_users": 100,
        "halt_unread_share": 1,
    }
)


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race, with 40 users who hold 1 FLOW each."""
    with scratch_database(database_url, template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(
                "insert into user_balances (user_address, balance) select unnest(%s::text[]), 1",
                (USERS,),
            )
        yield url


def test_of_two_last_closers_of_the_scan_one_sees_that_it_is_over(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _scanning(observer, chunk_users=30)
    one, other = _lease(observer, run, limit=2)

    assert _close_scan(first, run, one, USERS[:1])["open_chunks"] == 1
    waiting = threads.submit(_close_scan, second, run, other, USERS[30:31])
    wait_until_blocked(observer, second)
    first.commit()

    assert commit(second, waiting)["open_chunks"] == 0


def test_of_two_last_closers_of_the_corrections_one_finishes_the_run(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _correcting(observer, USERS[:2])
    one, other = _lease(observer, run, limit=2)

    assert _close_correction(first, run, one, USERS[0])["state"] == "correcting"
    waiting = threads.submit(_close_correction, second, run, other, USERS[1])
    wait_until_blocked(observer, second)
    first.commit()

    closed = commit(second, waiting)
    assert (closed["state"], closed["open_chunks"]) == ("finished", 0)


def test_a_last_closer_and_one_who_fails_the_last_chunk_finish_the_run(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _correcting(observer, USERS[:2])
    one, other = _lease(observer, run, limit=2)

    assert _fail(first, run, one)["state"] == "correcting"
    waiting = threads.submit(_close_correction, second, run, other, USERS[1])
    wait_until_blocked(observer, second)
    first.commit()

    assert commit(second, waiting)["state"] == "finished"


def test_a_chunk_that_is_being_leased_is_passed_over(
    first: Connection, second: Connection, observer: Connection
) -> None:
    run = _scanning(observer, chunk_users=30)

    (mine,) = _lease(first, run)
    (theirs,) = _lease(second, run)  # does not wait

    assert [mine[0], theirs[0]] == [0, 1]


def test_many_leasers_never_get_the_same_chunk(url: str, threads: ThreadPoolExecutor) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        run = _scanning(owner, chunk_users=1)
        chunks = one(owner, "select get_reconciliation_run(%s)", run)[0]["scan"]["pending"]

    def lease_all() -> list[int]:
        got: list[int] = []
        with psycopg.connect(url, autocommit=True) as session:
            while leases := _lease(session, run, limit=3):
                got += [chunk_no for chunk_no, _ in leases]
        return got

    workers = [threads.submit(lease_all) for _ in range(4)]
    leased = [number for worker in workers for number in worker.result(timeout=60)]

    assert sorted(leased) == list(range(chunks))


def test_a_chunk_that_was_taken_over_is_not_closed_by_the_one_who_had_it(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _scanning(observer, chunk_users=50_000)
    (lease, *_) = _lease(observer, run, lease_s=0)
    (taken, *_) = _lease(first, run)
    assert taken[0] == lease[0]

    waiting = threads.submit(_close_scan, second, run, lease, USERS[:1])
    wait_until_blocked(observer, second)  # for the chunk, which the first session has just taken
    first.commit()

    assert commit(second, waiting)["accepted"] is False
    assert _close_scan(observer, run, taken, USERS[:1])["accepted"] is True


def test_a_chunk_that_is_closed_meanwhile_is_not_given_up(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _correcting(observer, USERS[:1])
    (lease,) = _lease(observer, run, lease_s=0)

    _close_correction(first, run, lease, USERS[0])
    waiting = threads.submit(_requeue, second, run, attempts_max=1)
    wait_until_blocked(observer, second)
    first.commit()

    requeued = commit(second, waiting)
    assert (requeued["gave_up"], requeued["chunk_nos"]) == (0, [])
    assert requeued["state"] == "finished"


def test_a_chunk_that_is_given_up_meanwhile_is_not_closed(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _correcting(observer, USERS[:1])
    (lease,) = _lease(observer, run, lease_s=0)

    assert _requeue(first, run, attempts_max=1)["gave_up"] == 1
    waiting = threads.submit(_close_correction, second, run, lease, USERS[0])
    wait_until_blocked(observer, second)
    first.commit()

    closed = commit(second, waiting)
    assert (closed["accepted"], closed["state"]) == (False, "finished")


def test_nothing_of_a_run_that_is_cancelled_meanwhile_is_closed(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _correcting(observer, USERS[:1])
    (lease,) = _lease(observer, run)

    call(first, "select end_reconciliation_run(%s, 'cancelled')", run)
    waiting = threads.submit(_close_correction, second, run, lease, USERS[0])
    wait_until_blocked(observer, second)
    first.commit()

    assert commit(second, waiting)["accepted"] is False


def test_of_two_runs_that_write_one_is_refused(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    started = _start(first)
    waiting = threads.submit(_start, second)
    wait_until_blocked(observer, second)
    first.commit()

    refused = commit(second, waiting)
    assert (refused["refused"], refused["run"]["run_id"]) == ("run_active", started["run_id"])


def test_two_deciders_decide_once(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _scanning(observer, chunk_users=50_000)
    (lease,) = _lease(observer, run)
    _close_scan(observer, run, lease, USERS[:2])

    decide = "select decide_reconciliation_run(%s)"
    decided = call(first, decide, run)
    waiting = threads.submit(call, second, decide, run)
    wait_until_blocked(observer, second)
    first.commit()

    assert commit(second, waiting) == decided
    assert decided["correct"]["pending"] == 2


def test_workers_that_lease_close_fail_and_requeue_at_once_do_not_deadlock(
    url: str, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    run = _scanning(observer, chunk_users=1)

    def work(failing: bool) -> None:
        with psycopg.connect(url, autocommit=True) as session:
            while leases := _lease(session, run, limit=2, lease_s=0.001, attempts_max=3):
                for lease in leases:
                    if failing:
                        _fail(session, run, lease, phase="scan", attempts_max=3)
                    else:
                        _close_scan(session, run, lease, USERS[lease[0] : lease[0] + 1])
                _requeue(session, run, attempts_max=3)

    workers = [threads.submit(work, failing) for failing in (False, True, False, True)]
    for worker in workers:
        worker.result(timeout=60)
    _requeue(observer, run, attempts_max=3)

    stored = call(observer, "select get_reconciliation_run(%s)", run)
    assert (stored["scan"]["pending"], stored["scan"]["leased"]) == (0, 0)
    counts = ("in_sync", "corrected", "would_correct", "transient", "changed_meanwhile", "failed")
    assert stored["users"] == sum(stored[name] for name in counts)


def test_slots_that_are_reserved_at_once_are_apart(url: str, threads: ThreadPoolExecutor) -> None:
    def reserve() -> list[float]:
        with psycopg.connect(url, autocommit=True) as session:
            query = "select reserve_script_slots('node', 0.01)"
            return [call(session, query)["wait_s"] for _ in range(5)]

    workers = [threads.submit(reserve) for _ in range(4)]
    waits = sorted(wait_s for worker in workers for wait_s in worker.result(timeout=60))

    # 100 s apart, less the time that the test has taken.
    assert [round(wait_s / 100) for wait_s in waits] == list(range(20))


# -- what the races are made of ---------------------------------------------------------------

Lease = tuple[int, str]
"""(chunk number, token)"""


def _start(session: Connection) -> Json:
    query = "select start_reconciliation_run(%s, 'full', false, 'ADMIN', %s)"
    return call(session, query, uuid4(), POLICY)


def _scanning(session: Connection, *, chunk_users: int) -> UUID:
    """A run whose chunks can be leased."""
    run = UUID(_start(session)["run_id"])
    call(session, "select plan_reconciliation_chunks(%s, %s)", run, chunk_users)
    return run


def _correcting(session: Connection, differing: list[str]) -> UUID:
    """A run whose scan found these, with a correction chunk for each."""
    run = _scanning(session, chunk_users=50_000)
    (lease,) = _lease(session, run)
    _close_scan(session, run, lease, differing)
    call(session, "select decide_reconciliation_run(%s)", run)
    return run


def _lease(
    session: Connection, run: UUID, limit: int = 1, lease_s: float = 60, attempts_max: int = 5
) -> list[Lease]:
    query = "select lease_reconciliation_chunks(%s, %s, %s, %s)"
    leased = call(session, query, run, lease_s, limit, attempts_max)
    return list(zip(leased["chunk_nos"], leased["tokens"], strict=True))


def _close_scan(session: Connection, run: UUID, lease: Lease, differing: list[str]) -> Json:
    count = len(differing)
    nulls = [None] * count
    query = (
        "select close_reconciliation_scan(%s, %s, %s, %s, 0, %s, 0, 7, 7, 1, %s, %s,"
        " %s::numeric[], %s::numeric[], %s, %s::text[], %s::text[])"
    )
    return call(
        session,
        query,
        *(run, *lease, count, count, differing, [True] * count),
        *(["1"] * count, ["2"] * count, [7] * count, nulls, nulls),
    )


def _close_correction(session: Connection, run: UUID, lease: Lease, user: str) -> Json:
    query = (
        "select close_reconciliation_correction(%s, %s, %s, %s, array['transient'],"
        " array[1], array[1], array[8], array[null], array[null], 1)"
    )
    return call(session, query, run, *lease, [user])


def _fail(
    session: Connection, run: UUID, lease: Lease, phase: str = "correct", attempts_max: int = 1
) -> Json:
    query = "select fail_reconciliation_chunk(%s, %s, %s, %s, 'contract_timeout', 'slow', %s)"
    return call(session, query, run, phase, *lease, attempts_max)


def _requeue(session: Connection, run: UUID, attempts_max: int) -> Json:
    return call(session, "select requeue_reconciliation_chunks(%s, 0, %s)", run, attempts_max)
