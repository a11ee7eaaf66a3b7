"""Users whom somebody names, reconciled together: as exact as one by one."""

import pytest

from shared.core.amount import FlowAmount
from shared.core.errors import (
    ContractHeightUnavailable,
    ContractTimeout,
    ContractUnreachable,
    InvalidSettings,
    LedgerUnreachable,
    QueueError,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.core.user_batch import BATCH_USERS_MAX, UserBatch
from shared.services.reconcile_named import SEALING_S_MAX, NamedResult
from shared.services.reconcile_user import RACES_MAX
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_ledger import Row
from tests.fakes.fake_queue import FakeQueue
from tests.unit.users import user
from tests.unit.worlds import World


def batch_of(*users: int, at: int = FIRST_HEIGHT) -> UserBatch:
    return UserBatch(
        user_addresses=tuple(user(number) for number in users),
        block_height=at,
        admin_address="indexer",
    )


def reconcile(world: World, batch: UserBatch) -> NamedResult:
    return world.named_reconciler.reconcile(batch, lambda: False)


def by_key(done: NamedResult) -> dict[str, ReconciliationResult]:
    assert len({each.user_address for each in done.results}) == len(done.results)
    return {each.user_address: each for each in done.results}


def test_each_user_has_an_outcome_and_who_differs_is_corrected() -> None:
    world = World({user(1): 10, user(2): 7}, {user(1): 10, user(2): 9, user(3): 4})
    done = by_key(reconcile(world, batch_of(1, 2, 3, 4)))
    assert {key: each.outcome for key, each in done.items()} == {
        user(1): Outcome.IN_SYNC,
        user(2): Outcome.CORRECTED,
        user(3): Outcome.CORRECTED,
        user(4): Outcome.IN_SYNC,
    }
    corrected = done[user(2)]
    assert (corrected.old_balance, corrected.new_balance, corrected.discrepancy) == (7, 9, 2)
    assert corrected.audit_id is not None
    assert (done[user(1)].old_balance, done[user(1)].discrepancy) == (10, 0)
    assert world.ledger.balances() == {user(1): 10, user(2): 9, user(3): 4}
    assert [row.transaction_hash for row in world.ledger.audit] == [
        "reconciliation_by_indexer",
        "reconciliation_by_indexer",
    ]


def test_a_thousand_users_share_one_height_and_one_script() -> None:
    numbers = range(BATCH_USERS_MAX)
    world = World({}, {user(number): 5 for number in numbers})
    done = reconcile(world, batch_of(*numbers))
    assert len(done.results) == BATCH_USERS_MAX
    assert len(world.contract.calls) == world.contract.height_calls == 1
    assert {each.block_height for each in done.results} == {FIRST_HEIGHT}


def test_more_users_are_worked_in_parts_until_the_time_is_over() -> None:
    numbers = range(2 * BATCH_USERS_MAX + 1)
    world = World({}, {user(number): 5 for number in numbers})
    stops = iter([False, False, True])
    done = world.named_reconciler.reconcile(batch_of(*numbers), lambda: next(stops))
    assert (len(done.results), done.left) == (2 * BATCH_USERS_MAX, 1)
    assert len(world.ledger.rows) == 2 * BATCH_USERS_MAX


def test_the_tolerance_of_sweeps_holds_nothing_back() -> None:
    world = World({user(1): 10}, {user(1): 11}, Policy(tolerance=FlowAmount(100)))
    reconcile(world, batch_of(1))
    assert world.balance(user(1)) == 11


def test_the_row_is_found_under_the_key_that_it_is_stored_with() -> None:
    stored = user(1)[2:].upper()
    world = World({stored: 10}, {user(1): 12})
    assert by_key(reconcile(world, batch_of(1)))[stored].outcome is Outcome.CORRECTED
    assert world.ledger.balances() == {stored: 12}


def test_a_user_with_two_rows_fails_and_the_others_do_not() -> None:
    bare, upper = user(1)[2:], user(1)[2:].upper()
    world = World({bare: 1, upper: 2, user(2): 3}, {user(1): 9, user(2): 4})
    done = by_key(reconcile(world, batch_of(1, 2)))
    assert done[user(1)].error_code == "ambiguous_address"
    assert done[user(2)].outcome is Outcome.CORRECTED
    assert (world.balance(bare), world.balance(upper)) == (1, 2)


@pytest.mark.parametrize("stored", [None, "NaN"])
def test_a_row_without_an_amount_is_treated_as_for_a_single_user(stored: str | None) -> None:
    alone, together = (
        World({user(1): stored, user(2): 3}, {user(1): 9, user(2): 4}) for _ in range(2)
    )
    expected = alone.reconcile(user(1))
    done = by_key(reconcile(together, batch_of(1, 2)))
    assert (done[user(1)].outcome, done[user(1)].error_code) == (
        expected.outcome,
        expected.error_code,
    )
    assert together.balance(user(1)) == alone.balance(user(1))
    assert together.balance(user(2)) == 4


def test_a_user_who_cannot_be_read_fails_alone() -> None:
    world = World({user(1): 1, user(2): 2}, {user(1): 5, user(2): 6})
    world.contract.panic_for([user(1)])
    done = reconcile(world, batch_of(1, 2))
    assert by_key(done)[user(1)].error_code == "contract_query_failed"
    assert by_key(done)[user(2)].outcome is Outcome.CORRECTED
    assert done.unsettled == []
    assert world.balance(user(1)) == 1


def test_who_is_held_is_told_and_settled_as_far_as_a_machine_can() -> None:
    world = World({user(1): 5, user(2): 5, user(3): 5}, {user(1): 8, user(2): 5, user(3): 8})
    for number in (1, 2):
        world.hold(user(number))
    done = reconcile(world, batch_of(1, 2, 3))
    found = by_key(done)
    assert [str(found[user(number)].outcome) for number in (1, 2, 3)] == [
        "held",
        "in_sync",
        "corrected",
    ]
    held = found[user(1)]
    assert (held.old_balance, held.new_balance, held.error_code) == (5, 8, "user_held")
    assert done.unsettled == []
    assert [row.user_address for row in world.ledger.audit] == [user(3)]


def test_a_failure_that_may_pass_is_unsettled() -> None:
    world = World({}, {user(1): 5, user(2): 6})
    slow = ContractTimeout("slow", remedy="Wait.")
    world.contract.fail_when(lambda users: slow if user(1) in users else None)
    done = reconcile(world, batch_of(1, 2))
    assert [each.user_address for each in done.unsettled] == [user(1)]
    assert by_key(done)[user(2)].outcome is Outcome.CORRECTED


# -- heights ----------------------------------------------------------------------------------


def test_it_waits_until_the_block_is_sealed() -> None:
    world = World({user(1): 1}, {user(1): 1})
    sleep = world.clock.sleep

    def sealing(duration_s: float) -> None:
        sleep(duration_s)
        if world.contract.height < FIRST_HEIGHT + 3:
            world.contract.set(user(1), 50)

    world.clock.sleep = sealing  # type: ignore[method-assign]
    done = by_key(reconcile(world, batch_of(1, at=FIRST_HEIGHT + 3)))
    assert done[user(1)].block_height == FIRST_HEIGHT + 3
    assert world.balance(user(1)) == 50


def test_it_does_not_wait_for_ever_and_writes_nothing_then() -> None:
    world = World({user(1): 1}, {user(1): 2})
    with pytest.raises(ContractHeightUnavailable):
        reconcile(world, batch_of(1, at=FIRST_HEIGHT + 1))
    assert SEALING_S_MAX <= sum(world.clock.sleeps) < SEALING_S_MAX + 4
    assert world.ledger.audit == []


def test_a_single_user_too_is_read_at_the_height_asked_for_or_later() -> None:
    world = World({user(1): 1}, {user(1): 2})
    behind = world.user_reconciler.reconcile(user(1), "indexer", at_least=FIRST_HEIGHT + 1)
    assert (behind.error_code, world.ledger.audit) == ("contract_height_unavailable", [])
    world.contract.seal()
    result = world.user_reconciler.reconcile(user(1), "indexer", at_least=FIRST_HEIGHT + 1)
    assert (result.outcome, result.block_height) == (Outcome.CORRECTED, FIRST_HEIGHT + 1)


# -- races and faults -------------------------------------------------------------------------


def test_a_row_that_moves_between_read_and_write_is_read_again_with_its_truth() -> None:
    world = World({user(1): 10, user(2): 1}, {user(1): 12, user(2): 2})

    def move(call: int) -> None:
        if call == 0:
            world.ledger.put(user(1), 11)

    world.contract.before_script = move
    done = by_key(reconcile(world, batch_of(1, 2)))
    assert done[user(1)].outcome is Outcome.CORRECTED
    assert (done[user(1)].old_balance, world.balance(user(1))) == (11, 12)
    assert [len(users) for _, users in world.contract.calls] == [2, 1]
    assert len(world.ledger.audit) == 2


def test_a_row_that_never_rests_is_unsettled() -> None:
    world = World({user(1): 10}, {user(1): 1_000})
    world.contract.before_script = lambda call: world.ledger.put(user(1), 20 + call)
    done = reconcile(world, batch_of(1))
    assert [each.outcome for each in done.unsettled] == [Outcome.CHANGED_MEANWHILE]
    assert len(world.contract.calls) == RACES_MAX
    assert world.ledger.audit == []


@pytest.mark.parametrize("balance", [FlowAmount(1), None])
def test_a_row_that_has_seen_a_later_block_than_the_node_is_unsettled(
    balance: FlowAmount | None,
) -> None:
    world = World({}, {user(1): 2})
    world.ledger.rows[user(1)] = Row(balance, reconciled_height=FIRST_HEIGHT + 1)
    done = reconcile(world, batch_of(1))
    assert [each.error_code for each in done.unsettled] == ["stale_height"]
    assert world.ledger.audit == []
    world.contract.seal()
    assert by_key(reconcile(world, batch_of(1)))[user(1)].outcome is Outcome.CORRECTED


@pytest.mark.parametrize(
    "error",
    [ContractUnreachable("down", remedy="Wait."), ContractTimeout("slow", remedy="Wait.")],
)
def test_a_node_that_does_not_answer_fails_the_whole_and_nothing_is_written(
    error: ContractUnreachable | ContractTimeout,
) -> None:
    world = World({user(1): 1}, {user(1): 2})
    world.contract.fail_next_height(error, times=99)
    with pytest.raises(type(error)):
        reconcile(world, batch_of(1))
    assert world.ledger.audit == []


def test_a_write_whose_answer_was_lost_is_written_once() -> None:
    world = World({user(1): 1}, {user(1): 2})
    down = LedgerUnreachable("gone", remedy="Wait.")
    world.ledger.lose_next_answer(down, method="correct_users")
    assert by_key(reconcile(world, batch_of(1)))[user(1)].outcome is Outcome.CORRECTED
    assert len(world.ledger.audit) == 1


# -- the queue --------------------------------------------------------------------------------


def test_users_are_queued_a_thousand_a_message() -> None:
    clock = FakeClock()
    queue = FakeQueue(clock)
    world = World(queue=queue, clock=clock)
    assert world.named_reconciler.has_queue
    assert world.named_reconciler.enqueue(batch_of(*range(2_001), at=7)) == 3
    assert [len(each.user_addresses) for each in queue.batches] == [1_000, 1_000, 1]
    assert {(each.block_height, each.admin_address) for each in queue.batches} == {(7, "indexer")}
    assert {each for batch in queue.batches for each in batch.user_addresses} == {
        user(number) for number in range(2_001)
    }


def test_a_queue_that_does_not_take_them_is_an_error() -> None:
    clock = FakeClock()
    queue = FakeQueue(clock)
    queue.fail_next(QueueError("down", remedy="Wait."))
    with pytest.raises(QueueError):
        World(queue=queue, clock=clock).named_reconciler.enqueue(batch_of(1))


def test_without_a_queue_nothing_can_be_queued() -> None:
    world = World()
    assert not world.named_reconciler.has_queue
    with pytest.raises(InvalidSettings):
        world.named_reconciler.enqueue(batch_of(1))
