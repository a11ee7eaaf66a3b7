"""An audit log that a superuser has tampered with, looked through by way of PostgREST."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from supabase import Client

from shared import bootstrap
from shared.adapters.supabase_audit_chain import SupabaseAuditChain
from shared.adapters.supabase_audit_round import SupabaseAuditRound
from shared.adapters.supabase_ledger import connect
from shared.adapters.system_clock import SystemClock
from shared.cli.main import main
from shared.core.alert import Alert
from shared.core.audit_chain import AuditCursor, AuditVerification, decode_cursor
from shared.services.audit_rounds import AuditRounds
from shared.services.verify_audit import AuditVerifier
from tests.conftest import LedgerTables, Setting
from tools.stack import Stack

A, B, C = (f"0x{n:016x}" for n in (0xA, 0xB, 0xC))
LATER = datetime.now(UTC) + timedelta(days=1)
LOG = "public.balance_audit_log"
HASH = (
    "reconciliation.audit_row_hash(chain_no, id::text, user_address, operation_type, amount,"
    " balance_before, balance_after, transaction_hash, extract(epoch from created_at), run_id,"
    " block_height, reason, reverses_audit_id, previous_hash)"
)


def where(user: str, chain_no: int) -> str:
    return f"where user_address = '{user}' and chain_no = {chain_no}"


@pytest.fixture
def log(ledger_rows: LedgerTables) -> LedgerTables:
    """Three users with four rows each: by the batch, the single call, an event, the app; SYSTEM."""
    ledger_rows.insert(dict.fromkeys((A, B, C), 10**8))
    users = f"array['{A}', '{B}', '{C}']"
    ledger_rows.run(
        f"select reconcile_user_balances({users}, array[2, 2, 2], array[1, 1, 1], 5)",
        *(f"select reconcile_user_balance('{user}', 3)" for user in (A, B, C)),
        *(f"select apply_balance_event('{user}', 1, 10, 'e')" for user in (A, B, C)),
        *(_plain(user, 4, 4) for user in (A, B, C)),
        _plain("SYSTEM", 12, 13),
    )
    return ledger_rows


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env.get("SUPABASE_REST_URL"),
        timeout_s=10.0,
    )
    yield client
    assert client.options.httpx_client is not None
    client.options.httpx_client.close()


@pytest.fixture(scope="module")
def chain(client: Client) -> SupabaseAuditChain:
    return SupabaseAuditChain(client)


@pytest.fixture(scope="module")
def rounds(client: Client) -> SupabaseAuditRound:
    return SupabaseAuditRound(client)


def _plain(user: str, before: int, after: int) -> str:
    return (
        f"insert into {LOG} (user_address, operation_type, amount, balance_before, balance_after)"
        f" values ('{user}', 'app', {after - before}, {before}, {after})"
    )


def tamper(log: LedgerTables, *statements: str) -> None:
    """As somebody does who owns the database, past the triggers."""
    log.run("set local session_replication_role = replica", *statements)


def verify(chain: SupabaseAuditChain, page_rows: int = 10_000, **given: Any) -> AuditVerification:
    return AuditVerifier(chain, SystemClock(), page_rows=page_rows).verify(**given)


def first(found: AuditVerification) -> tuple[str | None, int | None, str]:
    fault = found.first_faults[0]
    return fault.user_address, fault.chain_no, fault.code


def audit_id(log: LedgerTables, user: str, chain_no: int) -> str:
    with psycopg.connect(log.url) as connection:
        query = f"select id::text from {LOG} {where(user, chain_no)}"
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("page_rows", [1, 3, 10_000])
def test_what_was_written_by_all_who_may_is_whole(
    log: LedgerTables,  # noqa: ARG001
    chain: SupabaseAuditChain,
    page_rows: int,
) -> None:
    found = verify(chain, page_rows)

    assert (found.is_whole, found.is_complete, found.faults) == (True, True, 0)
    assert (found.rows, found.users, found.gaps) == (13, 4, 0)
    assert (found.unaudited, found.unanchored) == (0, 0)


COLUMNS = {
    "operation_type": "'deposit'",
    "amount": "amount + 0.00000001",
    "balance_before": "balance_before - 1",
    "balance_after": "balance_after + 1",
    "transaction_hash": "'reconciliation_by_MALLORY'",
    "created_at": "created_at + interval '1 microsecond'",
    "run_id": "gen_random_uuid()",
    "block_height": "7",
    "reason": "'because'",
    "reverses_audit_id": "'1'",
    "id": "id + 1000",
    "row_hash": "sha256('x')",
    "previous_hash": "sha256('x')",
}


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("place", [1, 3, 4])
def test_an_edited_row_is_named(
    log: LedgerTables, chain: SupabaseAuditChain, column: str, place: int
) -> None:
    override = f"update {LOG} set {column} = {COLUMNS[column]} {where(B, place)}"
    if column == "id":  # always generated: only a superuser who changes the table may
        tamper(log, f"alter table {LOG} alter column id set generated by default")
    if column == "id":
        override = (
            f"with gone as (delete from {LOG} {where(B, place)} returning *) insert into {LOG}"
            " (id, user_address, operation_type, amount, balance_before, balance_after,"
            " transaction_hash, created_at, run_id, block_height, reason, reverses_audit_id,"
            " chain_no, previous_hash, row_hash) select id + 1000, user_address, operation_type,"
            " amount, balance_before, balance_after, transaction_hash, created_at, run_id,"
            " block_height, reason, reverses_audit_id, chain_no, previous_hash, row_hash from gone"
        )
    tamper(log, override)
    if column == "id":
        tamper(log, f"alter table {LOG} alter column id set generated always")

    found = verify(chain, 5)

    assert (first(found), found.faults) == ((B, place, "row_altered"), 1)
    assert found.first_faults[0].audit_id == audit_id(log, B, place)
    assert not found.is_whole


@pytest.mark.parametrize(
    ("place", "code"), [(1, "row_altered"), (3, "row_altered"), (4, "head_altered")]
)
def test_an_edited_row_with_a_new_hash_is_named(
    log: LedgerTables, chain: SupabaseAuditChain, place: int, code: str
) -> None:
    tamper(
        log,
        f"update {LOG} set amount = amount + 1 {where(B, place)}",
        f"update {LOG} set row_hash = {HASH} {where(B, place)}",
    )

    found = verify(chain, 5)

    assert (first(found), found.faults) == ((B, place, code), 1)
    assert found.first_faults[0].audit_id == audit_id(log, B, place)


@pytest.mark.parametrize("page_rows", [1, 2, 10_000])
@pytest.mark.parametrize(
    ("gone", "place"),
    [
        ("chain_no = 1", 1),
        ("chain_no = 2", 2),
        ("chain_no = 4", 4),
        ("true", 1),
        ("chain_no > 1", 2),
    ],
)
def test_a_removed_row_is_named_by_its_place(
    log: LedgerTables, chain: SupabaseAuditChain, gone: str, place: int, page_rows: int
) -> None:
    tamper(log, f"delete from {LOG} where user_address = '{B}' and {gone}")

    found = verify(chain, page_rows)

    assert (first(found), found.faults) == ((B, place, "row_missing"), 1)
    assert found.first_faults[0].audit_id is None


def test_all_rows_gone_are_missed_of_every_user(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(log, f"delete from {LOG}")

    found = verify(chain)

    named = [(each.user_address, each.chain_no) for each in found.first_faults]
    assert named == [(A, 1), (B, 1), (C, 1), ("SYSTEM", 1)]


@pytest.mark.parametrize("emptied", ["truncate public.user_balances", "delete from user_balances"])
def test_a_last_row_that_goes_after_the_ledger_was_emptied_is_missed(
    log: LedgerTables, chain: SupabaseAuditChain, emptied: str
) -> None:
    tamper(  # the app's row is taken back, so that the head is in the ledger row
        log,
        f"delete from {LOG} {where(B, 4)}",
        f"delete from reconciliation.audit_heads where user_address = '{B}'",
    )
    log.run(emptied)
    assert verify(chain).is_whole
    tamper(log, f"delete from {LOG} {where(B, 3)}")

    found = verify(chain)

    assert (first(found), found.faults) == ((B, 3, "row_missing"), 1)


def test_a_row_slipped_in_at_the_end_is_named(log: LedgerTables, chain: SupabaseAuditChain) -> None:
    forged = (
        f"insert into {LOG} (user_address, operation_type, amount, balance_before, balance_after,"
        f" chain_no, previous_hash) select '{B}', 'deposit', 1, 4, 5, 5, row_hash from {LOG}"
        f" {where(B, 4)}"
    )
    tamper(log, forged, f"update {LOG} set row_hash = {HASH} {where(B, 5)}")

    found = verify(chain)

    assert (first(found), found.faults) == ((B, 5, "row_inserted"), 1)
    assert found.first_faults[0].audit_id == audit_id(log, B, 5)


def test_a_row_slipped_in_outside_the_chain_is_named(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(log, _plain(B, 4, 5))

    found = verify(chain)

    assert {each.code for each in found.first_faults} == {"row_inserted", "adopted_rows_altered"}
    assert found.first_faults[0].audit_id is not None


def test_a_place_that_is_taken_twice_is_named(log: LedgerTables, chain: SupabaseAuditChain) -> None:
    index = (
        "create unique index balance_audit_log_chain_key on {} (user_address, chain_no nulls first)"
    )
    copied = (
        f"insert into {LOG} (user_address, operation_type, amount, balance_before, balance_after,"
        f" chain_no, previous_hash) select user_address, 'deposit', 1, 2, 3, chain_no,"
        f" previous_hash from {LOG} {where(B, 2)}"
    )
    plain = index.format(LOG).replace("unique ", "")
    log.run("drop index public.balance_audit_log_chain_key", plain)
    try:
        tamper(log, copied, f"update {LOG} set row_hash = {HASH} where row_hash is null")
        found = verify(chain)
        assert (B, 2, "row_inserted") in [
            (each.user_address, each.chain_no, each.code) for each in found.first_faults
        ]
    finally:
        log.clean()
        log.run("drop index public.balance_audit_log_chain_key", index.format(LOG))


def test_rows_that_changed_their_users_are_named(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(
        log,
        f"update {LOG} set user_address = 'x' {where(A, 2)}",
        f"update {LOG} set user_address = '{A}' {where(B, 2)}",
        f"update {LOG} set user_address = '{B}' where user_address = 'x'",
    )

    found = verify(chain)

    named = [(each.user_address, each.chain_no, each.code) for each in found.first_faults]
    assert named == [(A, 2, "row_altered"), (B, 2, "row_altered")]


def test_rows_that_changed_their_places_are_named(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(
        log,
        f"update {LOG} set chain_no = 99 {where(B, 2)}",
        f"update {LOG} set chain_no = 2 {where(B, 3)}",
        f"update {LOG} set chain_no = 3 {where(B, 99)}",
    )

    assert first(verify(chain)) == (B, 2, "row_altered")


@pytest.mark.parametrize(
    ("head", "place", "code"),
    [
        ("audit_hash = sha256('x')", 3, "head_altered"),
        ("audit_chain_no = 9", 4, "row_missing"),
        ("audit_chain_no = 1", 2, "row_inserted"),
    ],
)
def test_an_edited_head_is_named(
    log: LedgerTables, chain: SupabaseAuditChain, head: str, place: int, code: str
) -> None:
    tamper(  # the app's row is taken back, so that the head is in the ledger row
        log,
        f"delete from {LOG} {where(B, 4)}",
        f"delete from reconciliation.audit_heads where user_address = '{B}'",
        f"update public.user_balances set {head} where user_address = '{B}'",
    )

    assert first(verify(chain)) == (B, place, code)


def test_a_head_beside_the_ledger_is_looked_at_too(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(
        log,
        "update reconciliation.audit_heads set row_hash = sha256('x')"
        " where user_address = 'SYSTEM'",
    )

    assert first(verify(chain)) == ("SYSTEM", 1, "head_altered")


def test_a_rewritten_chain_shows_in_the_digest_alone(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    before = verify(chain, until=LATER)
    rewritten = [
        f"update {LOG} set amount = 99 {where(B, 1)}",
        f"update {LOG} set row_hash = {HASH} {where(B, 1)}",
    ]
    for place in (2, 3, 4):
        earlier = f"(select row_hash from {LOG} {where(B, place - 1)})"
        rewritten += [
            f"update {LOG} set previous_hash = {earlier} {where(B, place)}",
            f"update {LOG} set row_hash = {HASH} {where(B, place)}",
        ]
    head = f"select row_hash from {LOG} {where(B, 4)}"
    tamper(
        log,
        *rewritten,
        f"update reconciliation.audit_heads set row_hash = ({head}) where user_address = '{B}'",
    )

    after = verify(chain, until=LATER)

    assert after.is_whole
    assert (before.rows, after.rows) == (13, 13)
    assert before.digest != after.digest


def test_the_digest_stays_what_it_was_while_the_log_grows(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=1)
    before = verify(chain, until=until)
    log.run(
        f"insert into {LOG} (user_address, operation_type, amount, balance_before, balance_after,"
        f" created_at) values ('{A}', 'app', 1, 4, 5, now() + interval '1 minute')"
    )

    after = verify(chain, 2, until=until)

    assert (before.rows, after.rows) == (13, 14)
    assert before.digest == after.digest
    assert verify(chain, until=LATER).digest != before.digest


def test_a_verification_that_was_stopped_goes_on_where_it_was(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(log, f"delete from {LOG} {where(C, 4)}")
    whole = verify(chain, until=LATER)
    rows = faults = parts = 0
    after: AuditCursor | None = None
    while True:
        part = verify(chain, 2, until=LATER, after=after, should_stop=lambda: True)
        rows, faults, parts = rows + part.rows, faults + part.faults, parts + 1
        if part.after is None:
            break
        after = decode_cursor(part.after.encode())
        assert after == part.after

    assert (rows, faults, part.digest) == (whole.rows, whole.faults, whole.digest)
    assert parts > 7


def test_the_schedule_comes_to_the_end_in_as_many_invocations_as_it_takes(
    log: LedgerTables, chain: SupabaseAuditChain, rounds: SupabaseAuditRound
) -> None:
    told: list[Alert | None] = []

    def tick() -> AuditVerification:
        """One invocation, by a process that knows nothing but the database."""
        verifier = AuditVerifier(chain, SystemClock(), page_rows=4)
        observing = SimpleNamespace(observe=lambda _kind, alert: told.append(alert))
        return AuditRounds(verifier, rounds, observing).go_on(should_stop=lambda: True)

    def until_it_is_over() -> list[AuditVerification]:
        parts = [tick()]
        while not parts[-1].is_complete:
            parts.append(tick())
        return parts

    tamper(log, f"update {LOG} set amount = 5 {where(C, 2)}")
    broken = until_it_is_over()
    tamper(log, f"update {LOG} set amount = 1 {where(C, 2)}")
    half_way = [tick(), tick()]
    said = len(told)
    over = until_it_is_over()

    assert (first(broken[-1]), broken[-1].faults) == ((C, 2, "row_altered"), 1)
    assert [part.rows for part in broken[:4]] == [4, 8, 12, 13]
    assert None not in told[:said]
    assert [part.is_whole for part in half_way] == [True, True]
    assert (over[-1].rows, over[-1].is_whole, told[said:]) == (13, True, [None])


def test_balances_written_without_an_audit_row_are_counted(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    log.run(f"update public.user_balances set balance = 9 where user_address = '{A}'")
    unaudited = verify(chain)
    log.run(f"select reconcile_user_balance('{A}', 3)")
    gap = verify(chain)

    assert (unaudited.unaudited, unaudited.first_unaudited, unaudited.gaps) == (1, (A,), 0)
    assert (gap.unaudited, gap.gaps, gap.is_whole) == (0, 1, True)
    assert not verify(chain, only_writer=True).is_whole


def test_one_user_is_looked_at_by_any_spelling(
    log: LedgerTables, chain: SupabaseAuditChain
) -> None:
    tamper(log, f"update {LOG} set amount = 5 {where(A, 2)}")
    verifier = AuditVerifier(chain, SystemClock(), page_rows=3)

    found = verifier.verify_user(A[2:].upper(), until=LATER)

    assert (first(found), found.rows, found.users) == ((A, 2, "row_altered"), 4, 1)
    assert verifier.verify_user(B).is_whole


def test_a_hash_can_be_computed_by_anybody(log: LedgerTables) -> None:
    log.run(
        f"update public.user_balances set balance = 4.00000001 where user_address = '{A}'",
        f"select reconcile_user_balance('{A}', 3.1, 'it''s \\ me, ü', p_block_height => 77,"
        " p_run_id => '00000000-0000-0000-0000-00000000000a')",
    )
    columns = (
        "id, user_address, operation_type, amount, balance_before, balance_after, transaction_hash,"
        " created_at, run_id, block_height, reason, reverses_audit_id, chain_no, previous_hash,"
        " row_hash"
    )
    with psycopg.connect(log.url) as connection:
        rows = connection.execute(f"select {columns} from {LOG}".encode()).fetchall()

    assert len(rows) == 14
    for *content, row_hash in rows:
        assert hashlib.sha256(_hashed_text(*content).encode()).digest() == row_hash


def _hashed_text(
    id_: int,
    user: str,
    operation: str,
    amount: Decimal,
    before: Decimal,
    after: Decimal,
    transaction: str | None,
    created_at: datetime,
    run_id: Any,
    height: int | None,
    reason: str | None,
    reverses: str | None,
    chain_no: int,
    previous: bytes | None,
) -> str:
    """As docs/sql-api.md describes it."""
    numbers = [
        str(chain_no),
        *(_shortest(each) for each in (amount, before, after)),
        f"{created_at.timestamp():.6f}",
        "" if run_id is None else str(run_id),
        "" if height is None else str(height),
        "" if previous is None else previous.hex(),
    ]
    texts = (str(id_), user, operation, transaction, reason, reverses)
    return ",".join([*numbers, *map(_quoted, texts)])


def _shortest(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    doubled = text.replace("'", "''")
    if "\\" in doubled:
        escaped = doubled.replace("\\", "\\\\")
        return f"E'{escaped}'"
    return f"'{doubled}'"


def test_the_command_says_which_row_is_wrong(
    log: LedgerTables, environment: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    environment()
    assert main(["verify-audit"]) == 0
    assert capsys.readouterr().out.startswith("Whole: 13 audit rows of 4 users are as they were")
    tamper(log, f"update {LOG} set amount = 5 {where(B, 2)}")
    bootstrap.reset()

    assert main(["verify-audit"]) == 2

    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "Not whole: 1 fault in 13 audit rows of 4 users."
    place = f"{B} row 2 (audit row {audit_id(log, B, 2)})"
    expected = f"row_altered  {place}: its content does not have the hash that was stored with it"
    assert shown[1] == expected
