"""What the metrics of a call say of users and runs, over the services on fakes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest

from shared.core.errors import ContractUnreachable, LedgerTimeout
from shared.core.policy import Policy
from shared.core.run import ATTEMPTS_MAX, ChunkRef, Closed, Lease, Phase, RunState
from shared.observe.context import Invocation, count_results, entered
from shared.observe.counting_contract import CountingContract
from shared.observe.counting_run_store import counting_run_store
from shared.ports.ledger import Correction
from shared.ports.run_store import RunStore, ScanFound
from shared.services.read_contract import ContractReader
from shared.services.retrying_run_store import retrying_run_store
from tests.unit import worlds
from tests.unit.test_queue_worker import invoke, newest
from tests.unit.test_tick import queue_of, tick, world_of
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, LEASE_S, World


@pytest.fixture(autouse=True)
def _counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worlds have the ports that count, as `shared.bootstrap` gives them."""

    def store(*arguments: Any) -> Any:
        return counting_run_store(retrying_run_store(*arguments))

    def reader(contract: Any, *arguments: Any) -> ContractReader:
        return ContractReader(CountingContract(contract), *arguments)

    monkeypatch.setattr(worlds, "retrying_run_store", store)
    monkeypatch.setattr(worlds, "ContractReader", reader)


@pytest.fixture
def call() -> Iterator[Invocation]:
    """The call at hand."""
    invocation = Invocation("sweep", "r-1")
    with entered(invocation):
        yield invocation


def told(call: Invocation) -> dict[str, float]:
    """The counters that are not 0."""
    return {str(metric): value for metric, value in call.values().items() if value}


def test_a_run_that_is_worked_in_line(call: Invocation) -> None:
    run = tick(world_of()).run
    assert told(call) == {
        "UsersChecked": 8,
        "Discrepancies": 2,
        "Corrected": 2,
        "ScriptCalls": run.script_calls,
        "RunsFinished": 1,
    }
    assert call.outcomes() == {"in_sync": 6, "corrected": 2}
    assert call.run_id == run.run_id


def test_a_dry_run_finishes_no_run(call: Invocation) -> None:
    run = tick(world_of(), dry_run=True).run
    assert told(call) == {
        "UsersChecked": 8,
        "Discrepancies": 2,
        "ScriptCalls": run.script_calls,
    }


def test_a_run_without_drift_is_finished_by_its_review(call: Invocation) -> None:
    tick(world_of(drifted=0))
    assert told(call) == {"UsersChecked": 8, "ScriptCalls": 3, "RunsFinished": 1}


def test_a_halted_run(call: Invocation) -> None:
    tick(world_of(drifted=8, policy=Policy(batch_size=3, settle_s=0, halt_min_users=5)))
    assert told(call) == {
        "UsersChecked": 8,
        "Discrepancies": 8,
        "ScriptCalls": 3,
        "RunsHalted": 1,
    }


def test_a_message_that_comes_twice_counts_once(call: Invocation) -> None:
    world = world_of(queued=True)
    tick(world)
    queue = queue_of(world)
    twice = queue.take()
    for _ in range(2):
        world.queue_worker.handle(twice, lambda: False)
    assert told(call)["UsersChecked"] == 8
    invoke(world, queue, 10, lambda: False)
    assert (told(call)["Corrected"], told(call)["RunsFinished"]) == (2, 1)


def test_what_was_not_stored_is_not_counted(call: Invocation) -> None:
    class LostLease:
        """A store that every lease has expired in."""

        def refuse(self, *_: object, **__: object) -> Closed:
            return Closed(accepted=False, state=RunState.FINISHED, open_chunks=0)

        close_scan = close_correction = fail_attempt = refuse

    store = counting_run_store(cast(RunStore, LostLease()))
    ref = ChunkRef(UUID(int=1), Phase.SCAN, 0)
    lease = Lease(ref=ref, token=UUID(int=2), attempt=ATTEMPTS_MAX, users=3)
    found = ScanFound(
        users=3,
        in_sync=3,
        funded=3,
        funded_reading_zero=0,
        candidates=(),
        failures=(),
        first_height=1,
        last_height=1,
        script_calls=1,
    )
    store.close_scan(lease, found)
    store.close_correction(lease, [], 1)
    store.fail_attempt(lease, LedgerTimeout("Slow", remedy="Wait."), attempts_max=ATTEMPTS_MAX)
    assert told(call) == {}


def test_users_of_a_chunk_that_is_given_up_have_failed(call: Invocation) -> None:
    world = world_of(3, queued=True)
    tick(world)
    world.contract.fail_when(lambda _: ContractUnreachable("It is down", remedy="Wait."))
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert told(call).get("Failed") is None, attempt
        invoke(world, queue_of(world), 10, lambda: False)
    assert newest(world).scan.failed == 1
    assert told(call)["Failed"] == 3


def half_corrected(call: Invocation) -> tuple[World, RunStore, Lease]:
    """A run whose only correction chunk is about two users, one of them corrected by a worker that
    then died, on the last lease that the chunk gets."""
    world = world_of(queued=True, policy=replace(CAREFREE, batch_size=10))
    tick(world)
    invoke(world, queue_of(world), 1, lambda: False)
    run_id = newest(world).run_id
    store = counting_run_store(world.store)
    for _ in range(ATTEMPTS_MAX):
        world.clock.advance(LEASE_S + 1)
        [lease] = store.lease_chunks(run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX).leases
    first, _ = store.list_candidates(lease)
    world.ledger.correct_users(
        [
            Correction(
                user_address=first.user_address,
                contract_balance=first.contract_balance,
                expected_balance=first.ledger_balance,
            )
        ],
        block_height=first.block_height,
        admin_address="ADMIN",
        run_id=run_id,
    )
    assert told(call).get("RunsFinished") is None
    return world, store, lease


def test_who_was_corrected_before_a_chunk_is_given_up_has_not_failed(call: Invocation) -> None:
    _, store, lease = half_corrected(call)
    store.fail_attempt(lease, LedgerTimeout("Slow", remedy="Wait."), attempts_max=ATTEMPTS_MAX)
    assert [told(call)[name] for name in ("Corrected", "Failed", "RunsFinished")] == [1, 1, 1]


def test_a_run_that_ends_by_giving_its_last_chunk_up_is_counted(call: Invocation) -> None:
    world, store, lease = half_corrected(call)
    world.clock.advance(LEASE_S + 1)
    for _ in range(2):
        store.requeue(lease.ref.run_id, older_than_s=900, attempts_max=ATTEMPTS_MAX)
    assert [told(call)[name] for name in ("Corrected", "Failed", "RunsFinished")] == [1, 1, 1]


def test_users_without_a_run(call: Invocation) -> None:
    keys = [user(number) for number in range(3)]
    world = World(dict.fromkeys(keys, 10), {keys[0]: 10, keys[1]: 11, keys[2]: 10})
    count_results(world.reconcile(key) for key in (*keys, "0xnobody"))
    assert told(call) == {
        "UsersChecked": 4,
        "Discrepancies": 1,
        "Corrected": 1,
        "Failed": 1,
        "ScriptCalls": 3,
    }


def test_outside_of_a_call_nothing_is_counted() -> None:
    world = world_of(policy=replace(CAREFREE, batch_size=3))
    assert tick(world).run.complete
    count_results([world.reconcile(user(0))])
