"""Incremental sweeps: whom they look at, and when they fall back to everyone."""

from dataclasses import replace

import pytest

from shared.core.errors import (
    ContractHeightUnavailable,
    ContractUnreachable,
    LedgerUnauthorized,
    RunActive,
)
from shared.core.outcome import Outcome
from shared.core.run import Run, RunKind, RunState
from shared.services.changed_users import BLOCKS_MAX
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World


def swept(users: int = 20, *, rotate_chunks: int = 0, batch_size: int = 5) -> World:
    """A world in sync, after a full sweep."""
    balances: dict[str, int] = {user(number): 10 for number in range(users)}
    policy = replace(CAREFREE, batch_size=batch_size)
    world = World(balances, balances, policy, rotate_chunks=rotate_chunks)
    world.sweep()
    world.contract.calls.clear()
    return world


def asked(world: World) -> set[str]:
    return {address for _, addresses in world.contract.calls for address in addresses}


def incremental(world: World) -> Run:
    world.clock.advance(60)
    return world.sweep(incremental=True).summary


def test_looks_only_at_the_users_that_events_name() -> None:
    world = swept()
    world.contract.set(user(3), 11)
    world.contract.set(user(7), 12)
    run = incremental(world)
    assert (run.kind, run.users, run.count(Outcome.CORRECTED)) == (RunKind.INCREMENTAL, 2, 2)
    assert asked(world) == {user(3), user(7)}
    assert (world.balance(user(3)), world.balance(user(7))) == (11, 12)


def test_each_goes_on_where_the_last_one_ended() -> None:
    world = swept()
    world.contract.set(user(3), 11)
    first = incremental(world)
    world.contract.set(user(4), 11)
    second = incremental(world)
    assert first.covered_height is not None
    assert (second.from_height, second.users) == (first.covered_height + 1, 1)


def test_without_new_blocks_nobody_is_looked_at() -> None:
    run = incremental(swept())
    assert (run.users, run.state) == (0, RunState.FINISHED)


def test_an_event_after_the_plan_is_the_next_runs() -> None:
    world = swept()
    height = world.contract.set(user(3), 11)

    def deposit(_method: str) -> None:
        world.contract.set(user(5), 11)

    world.ledger.before_call = deposit
    assert incremental(world).covered_height == height
    world.ledger.before_call = lambda method: None
    assert incremental(world).count(Outcome.CORRECTED) == 1
    assert world.balance(user(5)) == 11


def test_a_user_whom_the_ledger_does_not_hold_gets_a_row() -> None:
    world = swept()
    world.contract.set(user(99), 7)
    assert incremental(world).count(Outcome.CORRECTED) == 1
    assert world.balance(user(99)) == 7


def test_drift_without_an_event_is_found_when_its_turn_comes() -> None:
    world = swept(18, rotate_chunks=1)
    world.ledger.put(user(17), 3)
    runs = [incremental(world) for _ in range(4)]
    assert [run.users for run in runs] == [5, 5, 5, 3]
    assert [run.count(Outcome.CORRECTED) for run in runs] == [0, 0, 0, 1]
    world.contract.calls.clear()
    incremental(world)
    assert asked(world) == {user(number) for number in range(5)}


def test_a_user_who_is_named_and_has_his_turn_counts_once() -> None:
    world = swept(rotate_chunks=1)
    world.contract.set(user(2), 11)
    run = incremental(world)
    assert (run.users, sum(run.outcomes.values())) == (5, 5)
    assert run.count(Outcome.CORRECTED) == 1
    assert len(world.ledger.audit) == 1


def test_whom_the_last_run_left_unsettled_is_looked_at_again() -> None:
    world = swept()
    world.contract.set(user(3), 11)
    world.contract.panic_for([user(3)])
    assert incremental(world).count(Outcome.FAILED) == 1
    world.contract.panicking.clear()
    assert incremental(world).count(Outcome.CORRECTED) == 1
    assert incremental(world).users == 0


def test_a_dry_run_covers_nothing() -> None:
    world = swept()
    world.contract.set(user(3), 11)
    dry = world.sweep(dry_run=True, incremental=True).summary
    assert (dry.users, dry.count(Outcome.WOULD_CORRECT)) == (1, 1)
    assert incremental(world).count(Outcome.CORRECTED) == 1


def test_the_first_one_is_a_full_sweep_that_says_why() -> None:
    world = World({user(1): 1}, {user(1): 2})
    run = incremental(world)
    assert (run.kind, run.count(Outcome.CORRECTED)) == (RunKind.FULL, 1)
    assert run.fallback_reason == "no finished run to go on from"


def test_a_gap_that_is_too_large_falls_back_to_a_full_sweep() -> None:
    world = swept()
    world.contract.seal(BLOCKS_MAX + 1)
    run = incremental(world)
    assert (run.kind, run.users) == (RunKind.FULL, 20)
    assert str(run.fallback_reason).startswith("event_gap_too_large")


@pytest.mark.parametrize(
    "error",
    [
        ContractHeightUnavailable("pruned", remedy="-"),
        ContractUnreachable("down", remedy="-"),
    ],
)
def test_a_range_that_cannot_be_read_falls_back_to_a_full_sweep(
    error: ContractHeightUnavailable | ContractUnreachable,
) -> None:
    world = swept()
    world.contract.seal(600)
    world.ledger.put(user(17), 3)
    world.contract.fail_next_events(error, 2)
    run = incremental(world)
    assert (run.kind, run.users, run.count(Outcome.CORRECTED)) == (RunKind.FULL, 20, 1)
    assert str(run.fallback_reason).startswith(error.code)
    assert incremental(world).kind is RunKind.INCREMENTAL


def test_a_node_behind_the_last_run_is_an_error_and_no_empty_run() -> None:
    world = swept()
    world.contract.height -= 1
    with pytest.raises(ContractHeightUnavailable):
        incremental(world)


def test_one_whose_planner_died_cannot_be_resumed_but_cancelled() -> None:
    world = swept()
    world.contract.set(user(3), 11)
    world.store.fail_next(LedgerUnauthorized("dies", remedy="-"), method="add_user_chunk")
    with pytest.raises(LedgerUnauthorized):
        incremental(world)
    with pytest.raises(RunActive, match="still being planned"):
        world.sweeper.resume()
    world.runs.cancel(world.runs.list()[0].run_id)
    assert incremental(world).count(Outcome.CORRECTED) == 1
