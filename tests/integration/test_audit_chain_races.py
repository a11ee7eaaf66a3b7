"""Two sessions that write audit rows of one user at once: the chain does not break."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.sessions import (
    Connection,
    Json,
    call,
    commit,
    one,
    open_session,
    wait_until_blocked,
)
from tools.pgtap import scratch_database

ALICE, BOB, NEW = (f"0x{n:016x}" for n in (1, 2, 3))
SYSTEM = "SYSTEM"


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


def plain(session: Connection, user: str) -> Json:
    """An app's own audit row."""
    query = (
        "insert into balance_audit_log (user_address, operation_type, amount, balance_before,"
        " balance_after) values (%s, 'app', 0, 10, 10) returning json_build_object('no', chain_no)"
    )
    return call(session, query, user)


def single(session: Connection, user: str) -> Json:
    return call(session, "select reconcile_user_balance(%s, 11)", user)


def batch(session: Connection, user: str) -> Json:
    """Expects what is there at 10 FLOW, or no row."""
    expected = None if user == NEW else 10
    query = "select reconcile_user_balances(%s::text[], %s::numeric[], %s::numeric[], 5)"
    return call(session, query, [user], [11], [expected])


def event(session: Connection, user: str) -> Json:
    return call(session, "select apply_balance_event(%s, 1, 9, gen_random_uuid()::text)", user)


def chain(observer: Connection, user: str) -> list[int]:
    """The user's places, after everything was seen to be whole."""
    assert faults(observer) == 0
    query = "select chain_no from balance_audit_log where user_address = %s order by 1"
    return [place for (place,) in observer.execute(query, (user,)).fetchall()]


def faults(session: psycopg.Connection[Any]) -> int:
    calls = (
        "verify_audit_chains()",
        "verify_audit_heads()",
        "verify_audit_heads(p_aside => true)",
    )
    return sum(one(session, f"select ({each} ->> 'faults')::int")[0] for each in calls)


@pytest.mark.parametrize("write_second", [plain, single, batch, event])
@pytest.mark.parametrize("write_first", [plain, single, batch, event])
def test_whoever_comes_second_waits_and_takes_the_next_place(
    write_first: Any,
    write_second: Any,
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
) -> None:
    write_first(first, ALICE)
    waiting = threads.submit(write_second, second, ALICE)
    wait_until_blocked(observer, second)

    first.commit()
    answer = commit(second, waiting)

    wrote = answer.get("outcomes") != ["changed_meanwhile"]
    assert chain(observer, ALICE) == ([1, 2] if wrote else [1])


def test_two_rows_of_a_user_without_a_ledger_row_follow_each_other(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    plain(first, SYSTEM)
    waiting = threads.submit(plain, second, SYSTEM)
    wait_until_blocked(observer, second)

    first.commit()

    assert commit(second, waiting) == {"no": 2}
    assert chain(observer, SYSTEM) == [1, 2]


@pytest.mark.parametrize("create", [single, batch, event])
def test_a_ledger_row_is_created_while_the_users_audit_row_is_written(
    create: Any,
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
) -> None:
    plain(first, NEW)
    waiting = threads.submit(create, second, NEW)
    wait_until_blocked(observer, second)

    first.commit()
    commit(second, waiting)

    assert chain(observer, NEW) == [1, 2]


@pytest.mark.parametrize("create", [single, batch, event])
def test_an_audit_row_is_written_while_the_users_ledger_row_is_created(
    create: Any,
    first: Connection,
    second: Connection,
    observer: Connection,
    threads: ThreadPoolExecutor,
) -> None:
    create(first, NEW)
    waiting = threads.submit(plain, second, NEW)
    wait_until_blocked(observer, second)

    first.commit()
    commit(second, waiting)

    assert chain(observer, NEW) == [1, 2]


def test_a_write_that_is_rolled_back_takes_no_place(
    first: Connection, second: Connection, observer: Connection, threads: ThreadPoolExecutor
) -> None:
    plain(first, ALICE)
    waiting = threads.submit(batch, second, ALICE)
    wait_until_blocked(observer, second)

    first.rollback()
    commit(second, waiting)

    assert chain(observer, ALICE) == [1]


USERS = (ALICE, BOB, NEW, SYSTEM)
STEPS = {
    "plain": "insert into balance_audit_log (user_address, operation_type, amount, balance_before,"
    " balance_after, transaction_hash) select u, 'app', 1, 1, 2, {text}"
    " from unnest(array[{users}]) u",
    "single": "select reconcile_user_balance({user}, {number})",
    "batch": "select reconcile_user_balances(array_agg(user_address), array_agg({number}),"
    " array_agg(balance), 1) from user_balances having count(*) > 0",
    "event": "select apply_balance_event({user}, {number}, 10, {text} || random())",
    "delete": "delete from user_balances where user_address = {user}",
    "create": "insert into user_balances (user_address, balance) values ({user}, {number})"
    " on conflict do nothing",
}
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8).map(
    lambda text: "'" + text.replace("'", "''") + "'"
)
A_STEP = st.fixed_dictionaries(
    {
        "step": st.sampled_from(sorted(STEPS)),
        "user": st.sampled_from(USERS[:3]).map(lambda user: f"'{user}'"),
        "users": st.lists(st.sampled_from(USERS), min_size=1, max_size=6).map(
            lambda users: ", ".join(f"'{user}'" for user in users)
        ),
        "number": st.integers(0, 10**10).map(lambda units: f"{units}e-8"),
        "text": TEXTS,
    }
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(A_STEP, min_size=1, max_size=12))
def test_whatever_is_written_in_whichever_order_is_whole(
    url: str, steps: list[dict[str, str]]
) -> None:
    with open_session(url) as session:
        for step in steps:
            session.execute(STEPS[step["step"]].format(**step).encode())
        assert faults(session) == 0
        session.rollback()
