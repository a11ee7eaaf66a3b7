"""One suite over the fake holds and rollbacks and the real ones: they cannot drift apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.supabase_holds import SupabaseHolds
from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_rollbacks import SupabaseRollbacks
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.amount import FlowAmount, format_amount
from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerRefused,
    RunNotApplicable,
    RunNotFound,
    UserNotFound,
)
from shared.core.hold import HoldOutcome
from shared.core.outcome import Outcome
from shared.core.rollback import Rollback, RollbackOutcome
from shared.core.run import RunState
from shared.ports.holds import Holds
from shared.ports.ledger import Correction, Ledger, Written
from shared.ports.rollback import Rollbacks
from shared.ports.run_store import RunStore
from tests.contract.run_stores import planned
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_holds import FakeHolds
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.fake_rollbacks import FakeRollbacks
from tests.fakes.fake_run_store import FakeRunStore
from tests.unit.users import user
from tools.stack import Stack

A, B, C = user(1), user(2), user(3)
R = RollbackOutcome


class World(Protocol):
    """A ledger with its holds and rollbacks, and what is needed beside them. Balances in units."""

    @property
    def ledger(self) -> Ledger: ...
    @property
    def holds(self) -> Holds: ...
    @property
    def rollbacks(self) -> Rollbacks: ...
    @property
    def store(self) -> RunStore: ...
    def put(self, key: str, balance: int) -> None: ...
    def remove(self, key: str) -> None: ...
    def refuse(self, key: str, balance: int) -> None:
        """From now on the app's own constraint refuses this balance of this user."""

    def event(self, key: str, delta: int, block_height: int) -> None: ...
    def audit(self) -> list[tuple[str, str, int, str | None, str | None]]:
        """(key, operation, amount, reason, reversed row) in order."""


class FakeWorld:
    def __init__(self) -> None:
        clock = FakeClock()
        self.fake = FakeLedger()
        self.fake_store = FakeRunStore(self.fake, clock)
        self.store: RunStore = self.fake_store
        self.ledger: Ledger = self.fake
        self.holds: Holds = FakeHolds(self.fake, clock)
        self.rollbacks: Rollbacks = FakeRollbacks(self.fake, self.fake_store, clock)

    def put(self, key: str, balance: int) -> None:
        self.fake.put(key, balance)

    def remove(self, key: str) -> None:
        del self.fake.rows[key]

    def refuse(self, key: str, balance: int) -> None:
        self.fake.constraint = lambda changed, now: (changed, now) != (key, balance)

    def event(self, key: str, delta: int, block_height: int) -> None:
        assert self.fake.apply_event(key, delta, block_height, str(uuid4())).applied

    def audit(self) -> list[tuple[str, str, int, str | None, str | None]]:
        return [
            (row.user_address, row.operation_type, row.amount, row.reason, row.reverses_audit_id)
            for row in self.fake.audit
        ]


@dataclass
class RealWorld:
    ledger: Ledger
    holds: Holds
    rollbacks: Rollbacks
    store: RunStore
    database: psycopg.Connection

    def put(self, key: str, balance: int) -> None:
        self.database.execute(
            "insert into user_balances (user_address, balance) values (%s, %s)"
            " on conflict (user_address) do update set balance = excluded.balance",
            (key, format_amount(FlowAmount(balance))),
        )

    def remove(self, key: str) -> None:
        self.database.execute("delete from user_balances where user_address = %s", (key,))

    def refuse(self, key: str, balance: int) -> None:
        self.database.execute(
            f"alter table user_balances add constraint test_refuses check"
            f" (user_address <> '{key}' or balance <> {format_amount(FlowAmount(balance))})"
        )

    def event(self, key: str, delta: int, block_height: int) -> None:
        row = self.database.execute(
            "select apply_balance_event(%s, %s::numeric, %s, %s) ->> 'applied'",
            (key, format_amount(FlowAmount(delta)), block_height, str(uuid4())),
        ).fetchone()
        assert row == ("true",)

    def audit(self) -> list[tuple[str, str, int, str | None, str | None]]:
        rows = self.database.execute(
            "select user_address, operation_type, (amount * 100000000)::bigint, reason,"
            " reverses_audit_id from balance_audit_log order by id"
        ).fetchall()
        return [(key, operation, int(amount), *rest) for key, operation, amount, *rest in rows]


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[object]:
    made = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield made
    session = made.options.httpx_client
    assert session is not None
    session.close()


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    made = request.getfixturevalue("client")
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        yield RealWorld(
            SupabaseLedger(made),
            SupabaseHolds(made),
            SupabaseRollbacks(made),
            SupabaseRunStore(made),
            database,
        )
        database.execute("alter table user_balances drop constraint if exists test_refuses")


def correct(
    world: World, key: str, contract: int, *, height: int = 10, run_id: UUID | None = None
) -> Written:
    """Correct a user of whom nothing is expected, through correct_user."""
    return world.ledger.correct_user(
        Correction(user_address=key, contract_balance=FlowAmount(contract), expected_balance=None),
        block_height=height,
        admin_address="ADMIN",
        run_id=run_id or uuid4(),
    )


def corrected(world: World, key: str, contract: int, *, height: int = 10) -> str:
    """The audit id of a correction."""
    audit_id = correct(world, key, contract, height=height).audit_id
    assert audit_id is not None
    return audit_id


def undo(world: World, *audit_ids: str, dry_run: bool = False) -> list[Rollback]:
    return world.rollbacks.roll_back(audit_ids, "alice", "ticket 7", dry_run=dry_run)


def facts(rollback: Rollback) -> tuple[str, str | None, str | None, int | None, int | None]:
    return (
        str(rollback.outcome),
        rollback.code,
        rollback.user_address,
        rollback.old_balance,
        rollback.new_balance,
    )


def balances(world: World, *keys: str) -> list[str | None]:
    return [dict(world.ledger.get_balances(keys).rows()).get(key) for key in keys]


def held(world: World) -> list[str]:
    return [each.user_address for each in world.holds.list_holds(None, 100)]


# -- holds ------------------------------------------------------------------------------------


def test_a_user_is_held_once_and_released_once(world: World) -> None:
    world.put(A, 5)
    first = world.holds.hold(A, "alice", "ticket 1")
    assert first.hold is not None
    assert (first.user_address, first.outcome) == (A, HoldOutcome.HELD)
    assert (first.hold.held_by, first.hold.reason) == ("alice", "ticket 1")
    assert (first.hold.audit_id, first.hold.released_at) == (None, None)
    again = world.holds.hold(A, "bob", "ticket 2")
    assert (again.outcome, again.hold) == (HoldOutcome.ALREADY_HELD, first.hold)
    released = world.holds.release(A, "carol", "settled")
    assert released.hold is not None
    assert released.outcome is HoldOutcome.RELEASED
    assert (released.hold.held_by, released.hold.released_by) == ("alice", "carol")
    assert released.hold.release_reason == "settled"
    twice = world.holds.release(A, "dave")
    assert (twice.outcome, twice.hold) == (HoldOutcome.NOT_HELD, released.hold)
    assert world.holds.hold(A, "bob", "again").outcome is HoldOutcome.HELD
    assert [each.held_by for each in world.holds.list_user_holds(A)] == ["bob", "alice"]
    assert [each.held_by for each in world.holds.list_user_holds(A, 1)] == ["bob"]


def test_who_is_not_there_cannot_be_held(world: World) -> None:
    with pytest.raises(UserNotFound):
        world.holds.hold(A, "alice", "x")
    assert world.holds.release(A, "alice").hold is None
    assert world.holds.list_user_holds(A) == []


def test_a_hold_has_an_admin_and_a_reason(world: World) -> None:
    world.put(A, 5)
    for admin, reason in ((" ", "x"), ("a" * 201, "x"), ("alice", " "), ("alice", "x" * 501)):
        with pytest.raises(LedgerInvalidValue):
            world.holds.hold(A, admin, reason)
        with pytest.raises(LedgerInvalidValue):
            world.holds.release(A, admin, reason)


def test_holds_are_listed_by_key_in_pages(world: World) -> None:
    for key in (C, A, B):
        world.put(key, 5)
        world.holds.hold(key, "alice", "x")
    world.holds.release(B, "alice")
    assert held(world) == [A, C]
    assert [each.user_address for each in world.holds.list_holds(None, 1)] == [A]
    assert [each.user_address for each in world.holds.list_holds(A, 1)] == [C]
    for limit in (0, 10_001):
        with pytest.raises(LedgerInvalidValue):
            world.holds.list_holds(None, limit)


def test_pages_of_the_ledger_tell_who_is_held(world: World) -> None:
    for key in (A, B, C):
        world.put(key, 5)
    for key in (A, C):
        world.holds.hold(key, "alice", "x")
    assert world.ledger.list_balances(None, 2).held == {A}
    assert world.ledger.list_balances(B, 2).held == {C}
    assert world.ledger.get_balances([B, C]).held == {C}
    world.remove(A)
    assert world.ledger.get_balances([A]).held == {A}


def test_who_is_held_is_not_corrected(world: World) -> None:
    for key in (A, B):
        world.put(key, 5)
        world.holds.hold(key, "alice", "x")
    with pytest.raises(LedgerRefused) as caught:
        correct(world, A, 8)
    assert (caught.value.code, caught.value.retryable) == ("user_held", False)
    assert correct(world, A, 5).outcome is Outcome.IN_SYNC
    corrections = [
        Correction(
            user_address=key,
            contract_balance=FlowAmount(contract),
            expected_balance=FlowAmount(5),
        )
        for key, contract in ((A, 8), (B, 5))
    ]
    written = world.ledger.correct_users(
        corrections, block_height=10, admin_address="ADMIN", run_id=uuid4()
    )
    assert [(each.outcome, each.code) for each in written] == [
        (Outcome.HELD, "user_held"),
        (Outcome.IN_SYNC, None),
    ]
    world.event(A, 2, 20)
    assert balances(world, A, B) == ["0.00000007", "0.00000005"]
    world.holds.release(A, "alice")
    assert correct(world, A, 8, height=30).outcome is Outcome.CORRECTED


# -- rollbacks --------------------------------------------------------------------------------


def test_a_correction_is_taken_back_once_and_its_user_held(world: World) -> None:
    world.put(A, 5)
    audit_id = corrected(world, A, 8)
    [would] = undo(world, audit_id, dry_run=True)
    assert facts(would) == ("would_roll_back", None, A, 8, 5)
    assert would.rollback_audit_id is None
    assert (len(world.audit()), held(world)) == (1, [])
    [done] = undo(world, audit_id)
    assert facts(done) == ("rolled_back", None, A, 8, 5)
    assert done.amount == -3
    assert world.audit()[1:] == [(A, "reconciliation_rollback", -3, "ticket 7", audit_id)]
    assert balances(world, A) == ["0.00000005"]
    [hold] = world.holds.list_holds(None, 9)
    assert (hold.user_address, hold.held_by, hold.reason) == (A, "alice", "ticket 7")
    assert hold.audit_id == done.rollback_audit_id
    for dry_run in (True, False):
        [again] = undo(world, audit_id, dry_run=dry_run)
        assert facts(again) == ("already_rolled_back", None, A, 8, 5)
        assert again.rollback_audit_id == done.rollback_audit_id
    assert len(world.audit()) == 2


def test_who_is_held_already_stays_held_by_that(world: World) -> None:
    world.put(A, 5)
    audit_id = corrected(world, A, 8)
    world.holds.hold(A, "bob", "before")
    assert undo(world, audit_id)[0].outcome is R.ROLLED_BACK
    assert [each.held_by for each in world.holds.list_user_holds(A)] == ["bob"]


def test_what_cannot_be_taken_back_costs_no_other(world: World) -> None:
    for key in (A, B, C, user(4)):
        world.put(key, 5)
    agreed, moved, gone, good = (
        corrected(world, A, 5),
        corrected(world, B, 8),
        corrected(world, C, 8),
        corrected(world, user(4), 8),
    )
    world.event(B, 1, 11)
    world.remove(C)
    done = undo(world, agreed, "nonsense", moved, gone, good, "99999999999999999999999")
    assert [(str(each.outcome), each.code) for each in done] == [
        ("refused", "not_a_correction"),
        ("refused", "audit_not_found"),
        ("refused", "changed_meanwhile"),
        ("refused", "ledger_row_missing"),
        ("rolled_back", None),
        ("refused", "audit_not_found"),
    ]
    assert [bool(each.error) for each in done] == [bool(each.code) for each in done]
    assert [each.audit_id for each in done][1:3] == ["nonsense", moved]
    assert (done[1].user_address, done[1].amount) == (None, None)
    assert held(world) == [user(4)]


def test_corrections_are_taken_back_the_later_one_first(world: World) -> None:
    world.put(A, 5)
    first, second = corrected(world, A, 8), corrected(world, A, 9)
    assert undo(world, first)[0].code == "changed_meanwhile"
    assert undo(world, second)[0].outcome is R.ROLLED_BACK
    assert undo(world, first)[0].outcome is R.ROLLED_BACK
    assert balances(world, A) == ["0.00000005"]


def test_a_balance_that_a_later_correction_wrote_is_not_the_first_ones(world: World) -> None:
    world.put(A, 5)
    first = corrected(world, A, 8)
    corrected(world, A, 9)
    corrected(world, A, 8)
    assert undo(world, first)[0].code == "changed_meanwhile"


def test_a_rollback_is_followed_by_release_correction_and_another_rollback(world: World) -> None:
    world.put(A, 5)
    first = corrected(world, A, 8)
    undo(world, first)
    world.holds.release(A, "alice")
    second = corrected(world, A, 8)
    assert [each.outcome for each in undo(world, first, second)] == [
        R.ALREADY_ROLLED_BACK,
        R.ROLLED_BACK,
    ]
    assert held(world) == [A]


def test_a_rollback_that_the_app_refuses_changes_nothing(world: World) -> None:
    world.put(A, 5)
    world.put(B, 5)
    ids = corrected(world, A, 8), corrected(world, B, 8)
    world.refuse(B, 5)
    with pytest.raises(LedgerConstraintViolation):
        undo(world, *ids)
    assert balances(world, A, B) == ["0.00000008", "0.00000008"]
    assert (len(world.audit()), held(world)) == (2, [])


def test_a_call_that_is_wrong_as_a_whole_is_refused(world: World) -> None:
    with pytest.raises(LedgerInvalidValue):
        undo(world, "1", "1")
    with pytest.raises(LedgerInvalidValue):
        world.rollbacks.roll_back(["1"], " ", "why", dry_run=False)
    with pytest.raises(LedgerInvalidValue):
        world.rollbacks.roll_back(["1"], "alice", " ", dry_run=True)
    assert undo(world) == []


# -- runs -------------------------------------------------------------------------------------


def run_of(world: World, *keys: str) -> UUID:
    """A run that has ended after it had corrected these from 5 to 8."""
    run_id = uuid4()
    world.store.start_run(planned(run_id=run_id))
    for key in keys:
        world.put(key, 5)
        correct(world, key, 8, run_id=run_id)
    world.store.end_run(run_id, RunState.CANCELLED)
    return run_id


def test_a_run_is_taken_back_page_by_page(world: World) -> None:
    run_id = run_of(world, C, A, B)
    world.put(user(4), 5)
    corrected(world, user(4), 8)  # not of the run

    def page(after: str | None, limit: int = 2, *, dry_run: bool = False) -> list[object]:
        found = world.rollbacks.roll_back_run(run_id, after, limit, "alice", "why", dry_run=dry_run)
        return [
            [(each.user_address, str(each.outcome)) for each in found.rollbacks],
            found.through,
        ]

    would = [(key, "would_roll_back") for key in (A, B, C)]
    assert page(None, 9, dry_run=True) == [would, None]
    assert held(world) == []
    assert page(None) == [[(A, "rolled_back"), (B, "rolled_back")], B]
    assert page(B) == [[(C, "rolled_back")], None]
    assert page(B, 1) == [[(C, "already_rolled_back")], C]
    assert page(C) == [[], None]
    assert held(world) == [A, B, C]
    assert balances(world, A, user(4)) == ["0.00000005", "0.00000008"]
    with pytest.raises(LedgerInvalidValue):
        page(None, 0)


def test_a_run_that_goes_on_is_not_taken_back(world: World) -> None:
    run_id = uuid4()
    world.store.start_run(planned(run_id=run_id))
    with pytest.raises(RunNotApplicable):
        world.rollbacks.roll_back_run(run_id, None, 1, "alice", "why", dry_run=False)
    with pytest.raises(RunNotFound):
        world.rollbacks.roll_back_run(uuid4(), None, 1, "alice", "why", dry_run=True)
