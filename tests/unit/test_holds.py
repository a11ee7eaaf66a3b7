"""Holds: how a user is named, what a sweep and a single reconcile make of one who is held."""

from dataclasses import replace

import pytest

from shared.core.errors import (
    AmbiguousAddress,
    InvalidAddress,
    InvalidAdmin,
    InvalidReason,
    LedgerUnreachable,
    UserNotFound,
)
from shared.core.hold import HoldOutcome, check_reason
from shared.core.outcome import Outcome
from shared.core.run import RunState
from shared.services.holds import HoldKeeper
from shared.services.retry import Backoff
from tests.fakes.fake_holds import FakeHolds
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

A, B = user(1), user(2)
DOWN = LedgerUnreachable("down", remedy="Wait.")


def keeper(world: World) -> HoldKeeper:
    holds = FakeHolds(world.ledger, world.clock)
    return HoldKeeper(holds, world.ledger, world.clock, Backoff(attempts_max=2))


# -- holding ----------------------------------------------------------------------------------


def test_a_user_may_be_named_by_any_spelling() -> None:
    world = World({A[2:].upper(): 5})
    change = keeper(world).hold(A, "alice", " disputed ")
    assert (change.user_address, change.outcome) == (A[2:].upper(), HoldOutcome.HELD)
    assert change.hold is not None
    assert change.hold.reason == "disputed"
    assert keeper(world).release(A, "bob").outcome is HoldOutcome.RELEASED


def test_of_two_rows_the_one_that_is_spelled_so_is_meant() -> None:
    world = World({A: 5, A[2:]: 5})
    assert keeper(world).hold(A[2:], "alice", "x").user_address == A[2:]
    with pytest.raises(AmbiguousAddress):
        keeper(world).hold("0x" + A[2:].upper(), "alice", "x")


def test_a_key_that_is_no_address_is_held_as_it_is() -> None:
    assert keeper(World({"guest-3": 5})).hold("guest-3", "alice", "x").user_address == "guest-3"


def test_who_vanished_while_held_can_be_released_by_any_spelling() -> None:
    world = World({A: 5})
    keeper(world).hold(A, "alice", "x")
    del world.ledger.rows[A]
    assert keeper(world).release(A[2:], "bob").outcome is HoldOutcome.RELEASED


def test_the_active_hold_is_the_newest_that_is_not_released() -> None:
    world = World({A: 5})
    holds = keeper(world)
    assert holds.active(A) is None
    placed = holds.hold(A, "alice", "x").hold
    assert holds.active(A) == placed
    holds.release(A, "alice")
    assert holds.active(A) is None
    assert [each.held_by for each in holds.of_user(A)] == ["alice"]
    assert holds.list() == []


def test_what_cannot_be_is_refused_before_anybody_is_asked() -> None:
    world = World({A: 5})
    holds = keeper(world)
    with pytest.raises(InvalidAdmin):
        holds.hold(A, " ", "x")
    with pytest.raises(InvalidReason):
        holds.hold(A, "alice", " ")
    with pytest.raises(InvalidReason):
        holds.release(A, "alice", "")
    for key in ("", "a\0b", "x" * 201):
        with pytest.raises(InvalidAddress):
            holds.hold(key, "alice", "x")
        with pytest.raises(InvalidAddress):
            holds.list(key)
    with pytest.raises(UserNotFound):
        holds.hold(B, "alice", "x")
    assert world.ledger.holds == []


def test_a_lost_answer_is_asked_for_again() -> None:
    world = World({A: 5})
    holds = FakeHolds(world.ledger, world.clock)
    made = HoldKeeper(holds, world.ledger, world.clock, Backoff(attempts_max=2))
    holds.lose_next_answer(DOWN, method="hold")
    assert made.hold(A, "alice", "x").outcome is HoldOutcome.ALREADY_HELD
    assert len(world.ledger.holds) == 1


@pytest.mark.parametrize("reason", ["", "  ", "a\nb", "x" * 501, "\x1b[31m", None])
def test_a_reason_is_a_line(reason: str) -> None:
    with pytest.raises(InvalidReason):
        check_reason(reason)


# -- what becomes of who is held --------------------------------------------------------------


def test_a_sweep_tells_who_is_held_and_differs_and_leaves_them() -> None:
    world = World({A: 5, B: 5, user(3): 5}, {A: 8, B: 5, user(3): 9})
    for key in (A, B):
        world.hold(key)
    sweep = world.sweep()
    run = sweep.summary
    assert (run.state, run.unresolved, run.users) == (RunState.FINISHED, 0, 3)
    assert run.count(Outcome.HELD, Outcome.IN_SYNC, Outcome.CORRECTED) == 3
    [held, _] = sweep
    assert (held.user_address, held.outcome, held.discrepancy) == (A, Outcome.HELD, 3)
    assert (held.error_code, held.success, held.audit_id) == ("user_held", False, None)
    assert "reconcile release " + A in (held.error or "")
    assert [row.user_address for row in world.ledger.audit] == [user(3)]


def test_who_is_held_between_scan_and_write_is_held() -> None:
    world = World({A: 5}, {A: 8})

    def hold_late(method: str) -> None:
        if method == "correct_users":
            world.hold(A)

    world.ledger.before_call = hold_late
    [result] = world.sweep()
    assert (result.outcome, result.error_code) == (Outcome.HELD, "user_held")
    assert (world.balance(A), world.ledger.audit) == (5, [])


def test_who_is_held_does_not_count_for_the_safety_stop() -> None:
    users = [user(n) for n in range(1, 201)]
    world = World(
        dict.fromkeys(users, 5),
        {key: 8 if n < 120 else 5 for n, key in enumerate(users)},
        policy=replace(CAREFREE, halt_share=0.5, halt_min_users=50),
    )
    for key in users[:119]:
        world.hold(key)
    run = world.sweep().summary
    assert (run.halt, run.count(Outcome.HELD), run.count(Outcome.CORRECTED)) == (None, 119, 1)


def test_a_released_user_is_looked_at_by_the_next_incremental_run() -> None:
    world = World({A: 5, B: 5}, {A: 8, B: 5}, rotate_chunks=0)
    world.hold(A)
    world.sweep()
    assert world.sweep(incremental=True).summary.count(Outcome.HELD) == 1
    keeper(world).release(A, "alice")
    assert world.sweep(incremental=True).summary.count(Outcome.CORRECTED) == 1


def test_what_a_plan_takes_over_says_who_was_held() -> None:
    world = World({A: 5, B: 5}, {A: 8, B: 8})
    world.hold(A)
    found = world.sweep(dry_run=True).summary
    assert (found.count(Outcome.HELD), found.count(Outcome.WOULD_CORRECT)) == (1, 1)
    carried_out = world.sweeper.apply(found.run_id, "ADMIN").summary
    assert (carried_out.count(Outcome.HELD), carried_out.count(Outcome.CORRECTED)) == (1, 1)
    assert carried_out.users == 2


def test_one_user_who_is_held_is_refused_unless_both_sides_agree() -> None:
    world = World({A: 5, B: 5}, {A: 8, B: 5})
    for key in (A, B):
        world.hold(key)
    result = world.reconcile(A)
    assert (result.outcome, result.error_code, result.success) == (
        Outcome.HELD,
        "user_held",
        False,
    )
    assert (result.old_balance, result.new_balance, result.discrepancy) == (5, 8, 3)
    assert world.user_reconciler.preview(A).outcome is Outcome.HELD
    assert world.user_reconciler.preview(B).outcome is Outcome.IN_SYNC
    assert world.reconcile(B).outcome is Outcome.IN_SYNC
    assert world.balance(A) == 5
