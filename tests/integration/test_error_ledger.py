"""Faults of Supabase's side, caused on the real servers: each has its code, and writes nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from shared import Outcome, ReconcileError, reconcile_all_users, reconcile_user_balance
from tests.conftest import Balances, LedgerTables, Setting, new_addresses
from tools.stack import Stack

USERS = [f"0x00000000000000f{number}" for number in range(3)]
USER = USERS[0]
LEDGER = dict.fromkeys(USERS, 5)
READY_S = 30.0


@pytest.fixture(autouse=True)
def unchanged(ledger_rows: LedgerTables, on_balance_fixture: Balances) -> Iterator[None]:
    """Three users who have drifted, USER among them; USER's row must stay as it was."""
    ledger_rows.insert(LEDGER)
    on_balance_fixture.set(dict.fromkeys(USERS, 8))
    yield
    assert ledger_rows.balances()[USER] == 5
    assert USER not in {row.user_address for row in ledger_rows.audit()}


def assert_both_fail(code: str, remedy: str) -> None:
    """One user's error is in the result; a sweep that cannot list the users raises it."""
    assert_user_fails(code, remedy)
    with pytest.raises(ReconcileError) as caught:
        reconcile_all_users()
    assert caught.value.code == code


def assert_user_fails(code: str, remedy: str) -> None:
    result = reconcile_user_balance(USER)
    assert (result.success, result.error_code) == (False, code)
    assert remedy in (result.error or "")


def wait_until_served() -> None:
    """PostgREST comes back to its database, or to its schema, in its own time."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            reconcile_all_users(dry_run=True)
            return
        except ReconcileError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def changed(tables: LedgerTables, change: str, undo: str) -> Iterator[None]:
    """A change to the schema that PostgREST has noticed, and that is undone."""
    reload = "notify pgrst, 'reload schema'"
    tables.run(change, reload)
    try:
        yield
    finally:
        tables.run(undo, reload)
        wait_until_served()


def test_supabase_that_is_not_there(stack: Stack) -> None:
    stack.postgrest.stop()
    try:
        assert_both_fail("ledger_unreachable", "Check SUPABASE_URL")
    finally:
        stack.postgrest.start()


def test_supabase_that_does_not_answer(environment: Setting, stack: Stack) -> None:
    environment(SUPABASE_TIMEOUT_S="0.3")
    stack.postgrest.pause()
    try:
        assert_both_fail("ledger_timeout", "raise SUPABASE_TIMEOUT_S")
    finally:
        stack.postgrest.resume()


def test_a_database_that_is_down(stack: Stack) -> None:
    stack.postgres.stop()
    try:
        assert_both_fail("ledger_unreachable", "Check SUPABASE_URL")
    finally:
        stack.postgres.start()
        wait_until_served()


def test_a_row_that_somebody_keeps_locked(ledger_rows: LedgerTables) -> None:
    with psycopg.connect(ledger_rows.url) as holder:
        holder.execute(
            "select from public.user_balances where user_address = %s for update", (USER,)
        )

        assert_user_fails("ledger_lock_timeout", "long transaction")


def test_a_constraint_of_the_app_fails_the_users_whom_it_concerns(
    ledger_rows: LedgerTables,
) -> None:
    table = "alter table public.user_balances"
    check = f"check (user_address <> '{USER}' or balance < 0.00000006)"
    with changed(
        ledger_rows, f"{table} add constraint app {check}", f"{table} drop constraint app"
    ):
        assert_user_fails("ledger_constraint_violation", "nothing was changed")

        result = reconcile_all_users()

    assert {each.user_address: each.outcome for each in result} == {
        USER: Outcome.FAILED,
        USERS[1]: Outcome.CORRECTED,
        USERS[2]: Outcome.CORRECTED,
    }
    assert result[0].error_code == "ledger_constraint_violation"
    assert ledger_rows.balances() == {USER: 5, USERS[1]: 8, USERS[2]: 8}


@pytest.mark.parametrize(
    ("raised", "code", "remedy"),
    [
        ("22003", "ledger_invalid_value", "stored row"),
        ("22P02", "ledger_invalid_value", "stored row"),
        ("XX000", "ledger_error", "database's log"),
    ],
)
def test_an_error_inside_the_database_undoes_everything(
    ledger_rows: LedgerTables, raised: str, code: str, remedy: str
) -> None:
    body = f"begin raise exception 'provoked' using errcode = '{raised}'; end"
    function = f"create function public.refuse() returns trigger language plpgsql as $${body}$$"
    trigger = (
        "create trigger refuse after insert on public.balance_audit_log"
        " for each row execute function public.refuse()"
    )
    ledger_rows.run(function, trigger)
    try:
        # The balance is updated before the audit row: the update must go back with it.
        assert_user_fails(code, remedy)
    finally:
        ledger_rows.run("drop function public.refuse() cascade")


def test_a_refusal_of_the_procedure_is_an_error_result(ledger_rows: LedgerTables) -> None:
    # As if a later block, which this chain does not have, had been reconciled already.
    ledger_rows.run(
        f"update public.user_balances set reconciled_height = 1 << 40 where user_address = '{USER}'"
    )

    assert_user_fails("stale_height", "Nothing was changed")


def test_a_balance_that_no_amount_can_hold_fails_the_user(ledger_rows: LedgerTables) -> None:
    table = "alter table public.user_balances"
    with changed(
        ledger_rows,
        f"{table} alter column balance type numeric",
        f"{table} alter column balance type numeric(20, 8)",
    ):
        ledger_rows.run(
            f"update public.user_balances set balance = 'NaN' where user_address = '{USER}'"
        )
        assert_user_fails("invalid_ledger_balance", "Nothing was changed")
        result = reconcile_all_users()
        ledger_rows.run(
            f"update public.user_balances set balance = 5e-8 where user_address = '{USER}'"
        )

    assert [each.error_code for each in result] == ["invalid_ledger_balance", None, None]


@pytest.mark.parametrize("kind", ["anon", "authenticated", "garbage", "foreign"])
def test_a_key_that_may_not_do_this(environment: Setting, stack: Stack, kind: str) -> None:
    service_key = stack.env["SUPABASE_SERVICE_ROLE_KEY"]
    keys = {
        "garbage": "no-key-at-all-but-long-enough",
        "foreign": f"{service_key[:-6]}AAAAAA",
    }
    key = keys.get(kind) or stack.postgrest.token(kind)
    environment(SUPABASE_SERVICE_ROLE_KEY=key)

    assert_both_fail("ledger_unauthorized", "SUPABASE_SERVICE_ROLE_KEY")

    assert key not in (reconcile_user_balance(USER).error or "")


def test_a_procedure_that_is_missing(ledger_rows: LedgerTables) -> None:
    before = "function public.reconcile_user_balance(text, numeric, text, numeric, bigint, uuid)"
    with changed(
        ledger_rows,
        f"alter {before} rename to hidden",
        f"alter {before.replace('reconcile_user_balance', 'hidden')}"
        " rename to reconcile_user_balance",
    ):
        assert_user_fails("ledger_procedure_missing", "Apply supabase/migrations")


def test_a_sweep_goes_on_when_a_row_is_locked(
    environment: Setting, ledger_rows: LedgerTables
) -> None:
    environment(RECONCILE_BATCH_SIZE="1")
    with psycopg.connect(ledger_rows.url) as holder:
        holder.execute(
            "select from public.user_balances where user_address = %s for update", (USER,)
        )

        result = reconcile_all_users()

    assert [each.error_code for each in result] == ["ledger_lock_timeout", None, None]
    assert ledger_rows.balances() == {USER: 5, USERS[1]: 8, USERS[2]: 8}


def test_the_ledger_is_served_again_after_all_that(ledger_rows: LedgerTables) -> None:
    ledger_rows.insert(dict.fromkeys(new_addresses(2), 0))

    assert reconcile_all_users(dry_run=True).summary.users == 5
