"""What a schedule's tick does, with a queue and without."""

from dataclasses import replace
from uuid import uuid4

import pytest

from shared.core.errors import ContractUnreachable, InvalidSettings, QueueError
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import ATTEMPTS_MAX, Phase, RunKind, RunPlan, RunState
from shared.services.deadline import ShouldStop
from shared.services.dispatch import MESSAGE_LOST_S
from shared.services.plan_run import RunRequest
from shared.services.tick import PLANNING_S_MAX, Tick
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_queue import FakeQueue
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, LEASE_S, World

CRON = RunRequest(admin_address="CRON")


def world_of(
    users: int = 8,
    *,
    drifted: int = 2,
    policy: Policy | None = None,
    queued: bool = False,
) -> World:
    clock = FakeClock()
    return World(
        {user(number): 10 for number in range(users)},
        {user(number): 10 + (number < drifted) for number in range(users)},
        policy or replace(CAREFREE, batch_size=3),
        queue=FakeQueue(clock) if queued else None,
        clock=clock,
    )


def tick(world: World, should_stop: ShouldStop = lambda: False, *, dry_run: bool = False) -> Tick:
    asked = replace(CRON, dry_run=dry_run)
    return world.ticker.tick(asked, incremental=False, should_stop=should_stop)


def queue_of(world: World) -> FakeQueue:
    queue = world.queue
    assert isinstance(queue, FakeQueue)
    return queue


# -- without a queue --------------------------------------------------------------------------


def test_without_a_queue_the_run_is_worked_to_its_end() -> None:
    world = world_of()
    done = tick(world)
    assert (done.run.state, done.resumed, done.queued) == (RunState.FINISHED, False, 0)
    assert done.run.count(Outcome.CORRECTED) == 2
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_CRON"


def test_at_the_deadline_the_rest_is_left_to_the_next_tick() -> None:
    world = world_of(30)
    scripts = world.contract.calls
    first = tick(world, should_stop=lambda: len(scripts) >= 2)
    assert (first.run.state, first.run.is_active) == (RunState.SCANNING, True)
    second = tick(world)
    assert (second.resumed, second.run.run_id) == (True, first.run.run_id)
    assert (second.run.state, second.run.users) == (RunState.FINISHED, 30)
    assert sum(second.run.outcomes.values()) == 30
    assert {address for _, addresses in scripts for address in addresses} == {
        user(number) for number in range(30)
    }


def test_leases_of_a_stopped_worker_are_free_at_once() -> None:
    world = world_of(30)
    tick(world, should_stop=lambda: bool(world.contract.calls))
    tick(world)
    assert sum(world.clock.sleeps) < LEASE_S


def test_a_side_that_is_down_is_an_error_and_tried_again_by_the_next_tick() -> None:
    world = world_of()
    world.contract.fail_when(lambda users: ContractUnreachable("down", remedy="Wait."))
    for _ in range(ATTEMPTS_MAX - 1):
        with pytest.raises(ContractUnreachable):
            tick(world)
        assert world.runs.list()[0].state is RunState.SCANNING
    world.contract.fail_when(lambda users: None)
    assert tick(world).run.count(Outcome.CORRECTED) == 2


def test_a_poison_chunk_fails_in_the_end_and_the_others_are_reconciled() -> None:
    world = world_of(policy=replace(CAREFREE, batch_size=3))
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if user(0) in users else None)
    world.ledger.put(user(7), 1)
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(ContractUnreachable):
            tick(world)
    last = tick(world)
    assert last.run.state is RunState.FINISHED
    assert (last.run.scan.failed, last.run.count(Outcome.FAILED)) == (1, 3)
    assert (last.run.count(Outcome.CORRECTED), world.balance(user(7))) == (1, 10)
    codes = {each.error_code for each in world.runs.show(last.run.run_id) if not each.success}
    assert codes == {down.code}
    assert sum(last.run.outcomes.values()) == last.run.users == 8


def test_a_full_run_takes_the_place_of_an_unfinished_incremental_one() -> None:
    world = world_of(30)
    tick(world)
    world.clock.advance(1)
    world.contract.set(user(20), 11)
    world.contract.set(user(3), 12)
    stopped = world.ticker.tick(CRON, incremental=True, should_stop=lambda: True).run
    assert (stopped.kind, stopped.is_active) == (RunKind.INCREMENTAL, True)
    full = tick(world)
    assert (full.run.kind, full.resumed, full.run.users) == (RunKind.FULL, False, 30)
    assert full.run.count(Outcome.CORRECTED) == 2
    assert world.runs.show(stopped.run_id).summary.state is RunState.CANCELLED


def test_an_incremental_tick_goes_on_with_an_unfinished_full_run() -> None:
    world = world_of(30)
    full = tick(world, should_stop=lambda: bool(world.contract.calls)).run
    resumed = world.ticker.tick(CRON, incremental=True, should_stop=lambda: False)
    assert (resumed.run.run_id, resumed.run.state) == (full.run_id, RunState.FINISHED)


def test_a_dry_run_and_a_run_that_writes_do_not_stand_in_each_others_way() -> None:
    world = world_of(30)
    dry = tick(world, should_stop=lambda: bool(world.contract.calls), dry_run=True)
    assert tick(world).run.count(Outcome.CORRECTED) == 2
    resumed = tick(world, dry_run=True)
    assert (resumed.run.run_id, resumed.resumed) == (dry.run.run_id, True)
    assert resumed.run.state is RunState.FINISHED


# -- with a queue -----------------------------------------------------------------------------


def test_with_a_queue_every_chunk_is_a_message_and_nobody_is_looked_at() -> None:
    world = world_of(queued=True)
    done = tick(world)
    assert (done.run.state, done.queued, world.contract.calls) == (RunState.SCANNING, 3, [])
    assert [(ref.phase, ref.chunk_no) for ref, _ in queue_of(world).sent] == [
        (Phase.SCAN, 0),
        (Phase.SCAN, 1),
        (Phase.SCAN, 2),
    ]


def test_the_next_tick_finds_the_run_and_sends_nothing_twice() -> None:
    world = world_of(queued=True)
    first = tick(world)
    second = tick(world)
    assert (second.run.run_id, second.resumed, second.queued) == (first.run.run_id, True, 0)


def test_chunks_of_lost_workers_and_lost_messages_are_sent_again() -> None:
    world = world_of(queued=True)
    run = tick(world).run
    leased = world.store.lease_chunks(run.run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX)
    assert len(leased.leases) == 1
    world.clock.advance(LEASE_S + 1)
    assert tick(world).queued == 1
    world.clock.advance(MESSAGE_LOST_S + 1)
    assert tick(world).queued == 3


def test_a_message_that_the_queue_did_not_take_is_sent_later() -> None:
    world = world_of(queued=True)
    queue_of(world).fail_next(QueueError("down", remedy="-"))
    with pytest.raises(QueueError):
        tick(world)
    world.clock.advance(MESSAGE_LOST_S + 1)
    assert tick(world).queued == 3


def test_a_run_whose_planner_died_is_given_up_for_a_new_one() -> None:
    world = world_of()
    world.store.fail_next(InvalidSettings("the planner dies", remedy="-"), method="plan_chunks")
    with pytest.raises(InvalidSettings):
        tick(world)
    (dead,) = world.runs.list()
    assert tick(world).run.run_id == dead.run_id  # somebody may still be planning it
    world.clock.advance(PLANNING_S_MAX + 1)
    done = tick(world)
    assert (done.run.run_id == dead.run_id, done.run.state) == (False, RunState.FINISHED)
    assert world.runs.show(dead.run_id).summary.state is RunState.CANCELLED


@pytest.mark.parametrize("queued", [False, True])
def test_a_tick_leaves_a_run_to_the_one_that_was_quicker_and_is_planning_it(queued: bool) -> None:
    world = world_of(queued=queued)
    quicker = RunPlan(run_id=uuid4(), dry_run=False, admin_address="OTHER", policy=CAREFREE)

    def be_quicker(method: str) -> None:
        if method == "start_run":
            world.store.before_call = lambda method: None
            world.store.start_run(quicker)

    world.store.before_call = be_quicker
    done = tick(world)
    assert (done.run.run_id, done.run.state) == (quicker.run_id, RunState.PLANNING)
    assert (done.resumed, done.queued) == (True, 0)
