"""One suite over the fake ledger and the real one behind PostgREST: they cannot drift apart."""

from collections.abc import Iterator
from typing import Protocol
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.core.amount import UFIX64_MAX, FlowAmount, format_amount, parse_amount
from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerRefused,
)
from shared.core.outcome import Outcome
from shared.ports.ledger import Correction, Ledger, Written
from tests.fakes.fake_ledger import FakeLedger
from tools.stack import Stack


def user(number: int) -> str:
    return f"0xabcdef{number:010x}"


A, B, C = user(1), user(2), user(3)
MAX = "184467440737.09551615"


class Harness(Protocol):
    """A ledger, and what is needed to look behind it. Balances are in units of 1e-8."""

    @property
    def ledger(self) -> Ledger: ...
    def put(self, key: str, balance: int | str | None) -> None: ...
    def refuse(self, key: str) -> None:
        """From now on the app's own constraint refuses every change of this user's balance."""

    def event(self, key: str, delta: int, block_height: int, event_id: str) -> str:
        """apply_balance_event: `applied`, or the reason or code why not."""

    def audit(self) -> list[tuple[str, int, int, int, str | None, int | None]]:
        """(key, amount, before, after, transaction_hash, block_height) in order."""


class FakeHarness:
    def __init__(self) -> None:
        self.fake = FakeLedger()
        self.ledger: Ledger = self.fake

    def put(self, key: str, balance: int | str | None) -> None:
        self.fake.put(key, balance)

    def refuse(self, key: str) -> None:
        self.fake.constraint = lambda changed, balance: changed != key

    def event(self, key: str, delta: int, block_height: int, event_id: str) -> str:
        answer = self.fake.apply_event(key, delta, block_height, event_id)
        return "applied" if answer.applied else answer.reason or answer.code or ""

    def audit(self) -> list[tuple[str, int, int, int, str | None, int | None]]:
        return [
            (
                row.user_address,
                row.amount,
                row.balance_before,
                row.balance_after,
                row.transaction_hash,
                row.block_height,
            )
            for row in self.fake.audit
        ]


class RealHarness:
    def __init__(self, ledger: SupabaseLedger, database: psycopg.Connection) -> None:
        self.ledger: Ledger = ledger
        self._database = database

    def put(self, key: str, balance: int | str | None) -> None:
        text = format_amount(FlowAmount(balance)) if isinstance(balance, int) else balance
        self._database.execute(
            "insert into user_balances (user_address, balance) values (%s, %s)"
            " on conflict (user_address) do update set balance = excluded.balance",
            (key, text),
        )

    def refuse(self, key: str) -> None:
        held = self._database.execute(
            "select balance from user_balances where user_address = %s", (key,)
        ).fetchone()
        assert held is not None
        self._database.execute(
            f"alter table user_balances add constraint test_refuses"
            f" check (user_address <> '{key}' or balance = {held[0]})"
        )

    def event(self, key: str, delta: int, block_height: int, event_id: str) -> str:
        row = self._database.execute(
            "select apply_balance_event(%s, %s::numeric, %s, %s)",
            (key, format_amount(FlowAmount(delta)), block_height, event_id),
        ).fetchone()
        assert row is not None
        answer = row[0]
        return "applied" if answer["applied"] else answer["reason"] or answer["code"]

    def audit(self) -> list[tuple[str, int, int, int, str | None, int | None]]:
        rows = self._database.execute(
            "select user_address, amount::text, balance_before::text, balance_after::text,"
            " transaction_hash, block_height from balance_audit_log order by id"
        ).fetchall()
        return [
            (key, parse_amount(a), parse_amount(before), parse_amount(after), by, height)
            for key, a, before, after, by, height in rows
        ]


@pytest.fixture(scope="module")
def supabase(stack: Stack) -> Iterator[SupabaseLedger]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield SupabaseLedger(client)
    session = client.options.httpx_client
    assert session is not None
    session.close()


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[Harness]:
    if request.param == "fake":
        yield FakeHarness()
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        yield RealHarness(request.getfixturevalue("supabase"), database)
        database.execute("alter table user_balances drop constraint if exists test_refuses")


def rows(world: Harness, *keys: str) -> dict[str, str | None]:
    return dict(world.ledger.get_balances(keys).rows())


def correct(
    world: Harness,
    key: str,
    contract: int,
    expected: int | None,
    *,
    height: int = 10,
    run_id: UUID | None = None,
    admin: str = "ADMIN",
) -> Written:
    """Through correct_user."""
    return world.ledger.correct_user(
        correction(key, contract, expected),
        block_height=height,
        admin_address=admin,
        run_id=run_id or uuid4(),
    )


def correct_all(
    world: Harness, *corrections: Correction, height: int = 10, run_id: UUID | None = None
) -> list[Written]:
    return world.ledger.correct_users(
        corrections, block_height=height, admin_address="ADMIN", run_id=run_id or uuid4()
    )


def correction(key: str, contract: int, expected: int | None) -> Correction:
    return Correction(
        user_address=key,
        contract_balance=FlowAmount(contract),
        expected_balance=None if expected is None else FlowAmount(expected),
    )


def facts(written: Written) -> tuple[str, str | None, int | None, int | None]:
    """What both must agree on: outcome, code, and the balances."""
    return (str(written.outcome), written.code, written.old_balance, written.new_balance)


# -- reading ----------------------------------------------------------------------------------


def test_an_empty_ledger_has_nobody(world: Harness) -> None:
    assert world.ledger.count_users() == 0
    assert len(world.ledger.list_balances(None, 10)) == 0


def test_pages_follow_each_other_in_bytewise_key_order(world: Harness) -> None:
    keys = [A, B, A[2:].upper(), "alice", "Zoë", "é"]
    for key in keys:
        world.put(key, 1)
    assert world.ledger.count_users() == len(keys)
    found: list[str] = []
    after: str | None = None
    while page := world.ledger.list_balances(after, 2):
        found += page.user_addresses
        after = found[-1]
    assert found == sorted(keys)


def test_balances_are_exact_text(world: Harness) -> None:
    world.put(A, UFIX64_MAX)
    world.put(B, 1)
    world.put(C, "NaN")
    assert rows(world, A, B, C) == {A: MAX, B: "0.00000001", C: "NaN"}
    assert dict(world.ledger.list_balances(None, 2).rows()) == {A: MAX, B: "0.00000001"}


def test_rows_are_matched_exactly_as_stored(world: Harness) -> None:
    world.put(A, 1)
    assert rows(world, A[2:], "0x" + A[2:].upper(), A, A, C) == {A: "0.00000001"}


@pytest.mark.parametrize("limit", [0, -1, 50_001])
def test_a_page_has_a_limit(world: Harness, limit: int) -> None:
    with pytest.raises(LedgerInvalidValue):
        world.ledger.list_balances(None, limit)


# -- one user ---------------------------------------------------------------------------------


def test_one_user_is_corrected_with_an_audit_row(world: Harness) -> None:
    world.put(A, 5)
    written = correct(world, A, UFIX64_MAX, 5, height=42, admin="0xadmin")
    assert facts(written) == ("corrected", None, 5, UFIX64_MAX)
    assert written.audit_id
    assert rows(world, A) == {A: MAX}
    assert world.audit() == [(A, UFIX64_MAX - 5, 5, UFIX64_MAX, "reconciliation_by_0xadmin", 42)]


def test_agreement_of_one_user_is_audited(world: Harness) -> None:
    world.put(A, 5)
    assert facts(correct(world, A, 5, 5)) == ("in_sync", None, 5, 5)
    assert [row[1] for row in world.audit()] == [0]


def test_a_missing_user_is_created(world: Harness) -> None:
    assert facts(correct(world, A, 5, None)) == ("corrected", None, 0, 5)
    assert rows(world, A) == {A: "0.00000005"}


def test_no_expectation_makes_no_condition_for_one_user(world: Harness) -> None:
    world.put(A, 7)
    assert facts(correct(world, A, 5, None)) == ("corrected", None, 7, 5)


def refusal(world: Harness, key: str, contract: int, expected: int | None, height: int) -> str:
    before = world.audit()
    with pytest.raises(LedgerRefused) as caught:
        correct(world, key, contract, expected, height=height)
    assert world.audit() == before
    return caught.value.code


def test_a_moved_or_newer_row_is_not_written(world: Harness) -> None:
    world.put(A, 7)
    assert refusal(world, A, 5, 6, 10) == "changed_meanwhile"
    correct(world, A, 8, 7, height=20)
    assert refusal(world, A, 5, 8, 19) == "stale_height"
    assert rows(world, A) == {A: "0.00000008"}
    assert correct(world, A, 5, 8, height=20).outcome is Outcome.CORRECTED


def test_what_cannot_be_a_row_is_refused(world: Harness) -> None:
    world.put(A, 7)
    world.put(C, "NaN")
    assert refusal(world, "alice", 5, None, 10) == "invalid_address"
    assert refusal(world, A[2:].upper(), 5, None, 10) == "invalid_address"
    assert refusal(world, C, 5, None, 10) == "invalid_ledger_balance"
    assert refusal(world, B, UFIX64_MAX + 1, None, 10) == "invalid_balance"
    assert refusal(world, B, -1, None, 10) == "invalid_balance"
    assert refusal(world, B, 1, None, -1) == "invalid_height"


@pytest.mark.parametrize("admin", ["", "  ", "x" * 201])
def test_a_bad_admin_is_refused(world: Harness, admin: str) -> None:
    with pytest.raises(LedgerRefused) as caught:
        correct(world, A, 5, None, admin=admin)
    assert caught.value.code == "invalid_admin"


def test_a_repeated_run_reports_the_first_result(world: Harness) -> None:
    run_id = uuid4()
    world.put(A, 5)
    first = correct(world, A, 8, 5, run_id=run_id)
    assert correct(world, A, 9, 5, run_id=run_id) == first
    assert facts(correct_all(world, correction(A, 9, 5), run_id=run_id)[0]) == facts(first)
    assert len(world.audit()) == 1
    assert rows(world, A) == {A: "0.00000008"}


# -- many users -------------------------------------------------------------------------------


def test_each_of_many_gets_its_own_outcome_in_order(world: Harness) -> None:
    keys = [user(number) for number in range(10, 20)]
    for key in keys[:7]:
        world.put(key, 5)
    world.put(keys[6], "NaN")
    correct(world, keys[5], 5, 5, height=99)
    written = correct_all(
        world,
        correction(keys[3], 8, 5),  # corrected
        correction(keys[0], 5, 5),  # in sync
        correction(keys[1], 8, 6),  # moved
        correction(keys[2], 8, None),  # appeared
        correction(keys[7], 8, 5),  # vanished
        correction(keys[8], 8, None),  # new
        correction(keys[9], 0, None),  # nobody, nowhere
        correction(keys[5], 8, 5),  # fence
        correction(keys[6], 8, 5),  # NaN
        correction("alice", 8, None),
        correction(keys[4], UFIX64_MAX + 1, 5),
    )
    assert [facts(each) for each in written] == [
        ("corrected", None, 5, 8),
        ("in_sync", None, 5, 5),
        ("changed_meanwhile", "changed_meanwhile", None, None),
        ("changed_meanwhile", "changed_meanwhile", None, None),
        ("changed_meanwhile", "changed_meanwhile", None, None),
        ("corrected", None, 0, 8),
        ("in_sync", None, 0, 0),
        ("changed_meanwhile", "stale_height", None, None),
        ("failed", "invalid_ledger_balance", None, None),
        ("failed", "invalid_address", None, None),
        ("failed", "invalid_balance", None, None),
    ]
    assert [bool(each.error) for each in written] == [bool(each.code) for each in written]
    assert [bool(each.audit_id) for each in written[:2]] == [True, False]
    assert sorted(row[0] for row in world.audit()) == sorted([keys[5], keys[3], keys[8]])
    assert keys[9] not in rows(world, keys[9])


def test_nobody_to_correct_is_no_error(world: Harness) -> None:
    assert correct_all(world) == []


def test_a_repeated_batch_reports_the_first_results(world: Harness) -> None:
    run_id = uuid4()
    world.put(A, 5)
    batch = [correction(A, 8, 5), correction(B, 3, None)]
    first = correct_all(world, *batch, run_id=run_id)
    assert correct_all(world, *batch, run_id=run_id) == first
    assert len(world.audit()) == 2


def test_a_batch_that_is_wrong_as_a_whole_is_refused(world: Harness) -> None:
    with pytest.raises(LedgerInvalidValue):
        correct_all(world, correction(A, 1, None), correction(A, 2, None))
    with pytest.raises(LedgerInvalidValue):
        correct_all(world, correction(A, 1, None), height=-1)
    assert rows(world, A) == {}


def test_a_constraint_of_the_app_rolls_the_whole_batch_back(world: Harness) -> None:
    world.put(A, 5)
    world.put(B, 5)
    world.refuse(B)
    with pytest.raises(LedgerConstraintViolation):
        correct_all(world, correction(A, 8, 5), correction(B, 8, 5))
    with pytest.raises(LedgerConstraintViolation):
        correct(world, B, 8, 5)
    assert rows(world, A, B) == {A: "0.00000005", B: "0.00000005"}
    assert world.audit() == []


# -- the fence --------------------------------------------------------------------------------


def test_an_event_that_a_correction_contains_is_not_added(world: Harness) -> None:
    world.put(A, 5)
    correct(world, A, 8, 5, height=10)
    assert world.event(A, 3, 10, "late") == "already_reconciled"
    assert world.event(A, 3, 10, "late") == "duplicate"
    assert world.event(A, 2, 11, "new") == "applied"
    assert world.event(A, 2, 11, "new") == "duplicate"
    assert world.event(A, 9, 11, "new") == "event_conflict"
    assert rows(world, A) == {A: "0.00000010"}


def test_an_event_makes_older_readings_stale(world: Harness) -> None:
    assert world.event(A, 5, 20, "first") == "applied"
    assert refusal(world, A, 4, 5, 19) == "stale_height"
    assert facts(correct_all(world, correction(A, 4, 5), height=19)[0])[1] == "stale_height"
    assert correct(world, A, 4, 5, height=20).outcome is Outcome.CORRECTED


def test_events_may_arrive_out_of_order(world: Harness) -> None:
    assert world.event(A, -5, 21, "withdrawal") == "applied"
    assert world.event(A, 7, 20, "deposit") == "applied"
    assert rows(world, A) == {A: "0.00000002"}
    assert [row[1:4] for row in world.audit()] == [(-5, 0, -5), (7, -5, 2)]


def test_an_event_for_what_cannot_be_a_row_is_refused(world: Harness) -> None:
    world.put(A, "NaN")
    assert world.event("alice", 1, 1, "e") == "invalid_address"
    assert world.event(A, 1, 1, "e") == "invalid_ledger_balance"
    assert world.event(B, UFIX64_MAX, 1, "e1") == "applied"
    for number in range(2, 6):
        assert world.event(B, UFIX64_MAX, 1, f"e{number}") == "applied"
    assert world.event(B, UFIX64_MAX, 1, "e6") == "balance_out_of_range"
