"""Chunks worked from a queue's messages: late, twice, by many, and never lost."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.core.errors import (
    ContractUnreachable,
    InvalidSettings,
    LedgerUnreachable,
    QueueError,
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.queue_message import Message
from shared.core.run import ATTEMPTS_MAX, Run, RunState
from shared.core.user_batch import UserBatch
from shared.services.deadline import ShouldStop
from shared.services.dispatch import MESSAGE_LOST_S
from tests.fakes.fake_queue import FakeQueue
from tests.unit.test_tick import queue_of, tick, world_of
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World


def work(world: World, *, at_once: int = 1, should_stop: ShouldStop = lambda: False) -> None:
    """Invoke the worker, as a queue does, until no message is left."""
    queue = queue_of(world)
    while (due_s := queue.next_due_s()) is not None:
        world.clock.advance(due_s)
        invoke(world, queue, at_once, should_stop)


def invoke(world: World, queue: FakeQueue, limit: int, should_stop: ShouldStop) -> None:
    messages = queue.take(limit)
    failed = world.queue_worker.handle(messages, should_stop).failed
    queue.delete([key for key in messages if key not in failed])
    queue.hand_back(list(failed))


def newest(world: World) -> Run:
    return world.runs.list()[0]


def assert_reconciled(world: World, corrected: int = 2) -> Run:
    run = newest(world)
    assert run.state is RunState.FINISHED
    assert sum(run.outcomes.values()) == run.users == len(world.ledger.rows)
    assert run.count(Outcome.CORRECTED) == corrected == len(world.ledger.audit)
    assert all(world.balance(key) == world.contract.balance(key) for key in world.ledger.rows)
    return run


@pytest.mark.parametrize("at_once", [1, 2, 10])
def test_a_queue_takes_a_run_from_its_plan_to_its_end(at_once: int) -> None:
    world = world_of(20, queued=True)
    tick(world)
    work(world, at_once=at_once)
    assert_reconciled(world)


def test_corrections_come_after_the_settle_window() -> None:
    policy = Policy(batch_size=3, settle_s=30)
    world = world_of(20, queued=True, policy=policy)
    tick(world)
    work(world)
    run = assert_reconciled(world)
    assert queue_of(world).sent[-1][1] == pytest.approx(30)
    assert run.finished_at is not None
    assert (run.finished_at - run.started_at).total_seconds() >= 30


def test_a_correction_that_is_delivered_too_early_goes_back_for_the_rest_of_the_window() -> None:
    world = world_of(9, queued=True, policy=Policy(batch_size=3, settle_s=30))
    tick(world)
    queue = queue_of(world)
    while newest(world).state is RunState.SCANNING:
        invoke(world, queue, 1, lambda: False)
    early = queue.sent[-1][0]
    world.clock.advance(10)
    world.queue_worker.handle({"m": early}, lambda: False)
    assert world.ledger.audit == []
    ref, delay_s = queue.sent[-1]
    assert ref == early
    assert delay_s == pytest.approx(20)
    work(world)
    assert_reconciled(world)


@pytest.mark.parametrize("seed", range(5))
def test_messages_in_any_order_and_several_times_change_nothing(seed: int) -> None:
    world = world_of(30, drifted=7, queued=True)
    queue = queue_of(world)
    queue.copies, queue.shuffle = 3, random.Random(seed)
    tick(world)
    work(world, at_once=4)
    assert_reconciled(world, corrected=7)


def test_a_message_of_a_finished_run_does_nothing() -> None:
    world = world_of(queued=True)
    tick(world)
    first = queue_of(world).sent[0][0]
    work(world)
    scripts = len(world.contract.calls)
    handled = world.queue_worker.handle({"again": first}, lambda: False)
    assert (handled.failed, handled.chunks, len(world.contract.calls)) == ({}, 0, scripts)
    assert_reconciled(world)


def test_a_message_of_an_unknown_run_is_dropped() -> None:
    world, other = world_of(queued=True), world_of(queued=True)
    tick(other)
    stray = queue_of(other).sent[0][0]
    assert world.queue_worker.handle({"stray": stray}, lambda: False).failed == {}


def test_a_failing_chunk_comes_again_and_the_others_of_its_batch_do_not() -> None:
    world = world_of(8, queued=True)
    tick(world)
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if user(0) in users else None)
    messages = queue_of(world).take()
    handled = world.queue_worker.handle(messages, lambda: False)
    assert [messages[key].chunk_no for key in handled.failed] == [0]
    assert (handled.chunks, handled.users) == (2, 5)


def test_a_poison_chunk_ends_in_the_dead_letter_queue_and_as_failed() -> None:
    world = world_of(9, queued=True)
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if user(0) in users else None)
    world.ledger.put(user(8), 1)
    tick(world)
    work(world)
    run = newest(world)
    assert [ref.chunk_no for ref in queue_of(world).dead] == [0]
    assert (run.state, run.scan.failed) == (RunState.FINISHED, 1)
    assert (run.count(Outcome.FAILED), run.count(Outcome.CORRECTED)) == (3, 1)
    assert sum(run.outcomes.values()) == 9


def test_time_runs_out_and_the_rest_is_queued_anew_without_counting_as_a_failure() -> None:
    world = world_of(30, queued=True)
    tick(world)
    queue = queue_of(world)
    messages = queue.take()
    handled = world.queue_worker.handle(messages, lambda: len(world.contract.calls) >= 2)
    assert handled.failed == {}
    assert handled.chunks + handled.handed_back == len(messages)
    assert handled.handed_back > 0
    queue.delete(list(messages))
    work(world)
    assert_reconciled(world)
    assert queue.dead == []


def test_a_store_that_is_down_lets_all_messages_come_again() -> None:
    world = world_of(8, queued=True)
    tick(world)
    down = LedgerUnreachable("down", remedy="Wait.")
    world.store.fail_next(down, 2, method="get_run")
    messages = queue_of(world).take()
    handled = world.queue_worker.handle(messages, lambda: False)
    assert set(handled.failed) == set(messages)


@pytest.mark.parametrize(
    "method",
    ["lease_chunks", "close_scan", "decide", "requeue", "list_candidates", "close_correction"],
)
def test_a_worker_that_dies_at_any_step_loses_nothing(method: str) -> None:
    """Before the step and after it; what it had leased waits for the lease to expire."""
    for dies in (_before, _after):
        world = world_of(9, queued=True)
        tick(world)
        dies(world, method)
        queue = queue_of(world)
        while newest(world).is_active:
            due_s = queue.next_due_s()
            world.clock.advance(MESSAGE_LOST_S if due_s is None else due_s)
            messages = queue.take(1)
            try:
                failed = world.queue_worker.handle(messages, lambda: False).failed
            except _Died:
                continue  # its message comes again when the visibility timeout is over
            queue.delete([key for key in messages if key not in failed])
            queue.hand_back(list(failed))
            if due_s is None and newest(world).is_active:
                tick(world)
        assert_reconciled(world)


@pytest.mark.parametrize("method", ["decide", "requeue"])
def test_a_worker_that_dies_before_the_corrections_are_queued_needs_no_tick(method: str) -> None:
    """Its message comes again, and finds its chunk closed and the run as it left it."""
    world = world_of(9, queued=True)
    tick(world)
    _before(world, method)
    queue = queue_of(world)
    while (due_s := queue.next_due_s()) is not None:
        world.clock.advance(due_s)
        with suppress(_Died):
            invoke(world, queue, 1, lambda: False)
    assert_reconciled(world)


class _Died(BaseException):
    """The process is gone."""


def _before(world: World, method: str) -> None:
    _die_at(world, method, lambda call: None)


def _after(world: World, method: str) -> None:
    _die_at(world, method, lambda call: call())


def _die_at(world: World, method: str, first: Callable[[Callable[[], object]], object]) -> None:
    original = getattr(world.store, method)
    died: list[bool] = []

    def die(*args: object, **kwargs: object) -> object:
        if died:
            return original(*args, **kwargs)
        died.append(True)
        first(lambda: original(*args, **kwargs))
        raise _Died

    setattr(world.store, method, die)


def test_without_a_queue_there_is_no_worker_for_one() -> None:
    world = World(policy=replace(CAREFREE, batch_size=3))
    assert ATTEMPTS_MAX == 5
    with pytest.raises(InvalidSettings, match="RECONCILE_QUEUE_URL"):
        _ = world.queue_worker


# -- users that somebody named ----------------------------------------------------------------


def batch_of(world: World, *numbers: int) -> UserBatch:
    return UserBatch(
        user_addresses=tuple(user(number) for number in numbers),
        block_height=world.contract.height,
        admin_address="indexer",
    )


def test_users_that_a_message_names_are_reconciled_beside_the_chunks_of_a_run() -> None:
    world = world_of(8, queued=True)
    tick(world)
    messages: dict[str, Message] = {"users": batch_of(world, 0, 5), **queue_of(world).take()}
    handled = world.queue_worker.handle(messages, lambda: False)
    assert (handled.failed, handled.chunks, handled.users) == ({}, 3, 10)
    assert {each.user_address: each.outcome for each in handled.named} == {
        user(0): Outcome.CORRECTED,
        user(5): Outcome.IN_SYNC,
    }
    assert [row.transaction_hash for row in world.ledger.audit] == ["reconciliation_by_indexer"]


def test_a_message_of_users_that_comes_twice_finds_them_in_sync() -> None:
    world = world_of(3, queued=True)
    batch = batch_of(world, 0, 1, 2)
    handled = world.queue_worker.handle({"a": batch, "b": batch}, lambda: False)
    assert (handled.failed, len(world.ledger.audit)) == ({}, 2)


def test_users_who_cannot_be_asked_about_come_again_and_the_chunks_do_not() -> None:
    world = world_of(8, queued=True)
    tick(world)
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if user(99) in users else None)
    messages: dict[str, Message] = {"users": batch_of(world, 99), **queue_of(world).take()}
    handled = world.queue_worker.handle(messages, lambda: False)
    assert {key: error.code for key, error in handled.failed.items()} == {
        "users": "contract_unreachable"
    }
    assert handled.chunks == 3


def test_users_of_a_block_that_is_not_sealed_come_again() -> None:
    world = world_of(3, queued=True)
    batch = replace(batch_of(world, 0), block_height=world.contract.height + 1)
    handled = world.queue_worker.handle({"early": batch}, lambda: False)
    assert handled.failed["early"].code == "contract_height_unavailable"
    world.contract.seal()
    assert world.queue_worker.handle({"early": batch}, lambda: False).failed == {}
    assert world.balance(user(0)) == 11


def test_one_user_whose_row_never_rests_lets_the_message_come_again() -> None:
    world = world_of(3, queued=True)
    world.contract.before_script = lambda call: world.ledger.put(user(0), 20 + call)
    handled = world.queue_worker.handle({"users": batch_of(world, 0, 1)}, lambda: False)
    assert handled.failed["users"].code == "users_unsettled"
    assert world.balance(user(1)) == 11


def test_one_user_whose_failure_does_not_pass_does_not() -> None:
    world = world_of(3, queued=True)
    world.contract.panic_for([user(0)])
    handled = world.queue_worker.handle({"users": batch_of(world, 0, 1)}, lambda: False)
    assert handled.failed == {}
    assert [each.error_code for each in handled.named if not each.success] == [
        "contract_query_failed"
    ]


def test_users_that_there_is_no_time_left_for_are_queued_anew() -> None:
    world = world_of(3, queued=True)
    batch = batch_of(world, 0)
    handled = world.queue_worker.handle({"users": batch}, lambda: True)
    assert (handled.failed, handled.handed_back) == ({}, 1)
    assert queue_of(world).batches == [batch]
    assert world.contract.calls == []


def test_users_that_cannot_be_queued_anew_come_again() -> None:
    world = world_of(3, queued=True)
    queue_of(world).fail_next(QueueError("down", remedy="Wait."))
    handled = world.queue_worker.handle({"users": batch_of(world, 0)}, lambda: True)
    assert handled.failed["users"].code == "queue_error"
