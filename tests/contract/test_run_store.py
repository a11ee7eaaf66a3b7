"""One suite over the fake run store and the real one behind PostgREST: they cannot drift apart."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.amount import FlowAmount
from shared.core.errors import (
    LedgerInvalidValue,
    RunActive,
    RunNotApplicable,
    RunNotFound,
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.review import Halt
from shared.core.run import (
    ATTEMPTS_MAX,
    ChunkRef,
    Closed,
    Lease,
    Leased,
    Phase,
    PhaseTally,
    Run,
    RunKind,
    RunState,
)
from shared.ports.run_store import RunStore
from tests.contract.run_stores import (
    HEIGHT,
    LEASE_S,
    SETTLE_S,
    FakeWorld,
    RealWorld,
    World,
    correct_in_ledger,
    correcting,
    differing,
    fault,
    found,
    leased,
    planned,
    result,
    scan,
    started,
    unread,
)
from tests.unit.users import user
from tools.stack import Stack

HALT = Halt("most_differ", "2 of 2 users differ", "Check the address.")


@pytest.fixture(scope="module")
def supabase(stack: Stack) -> Iterator[tuple[RunStore, SupabaseLedger]]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield SupabaseRunStore(client), SupabaseLedger(client)
    session = client.options.httpx_client
    assert session is not None
    session.close()


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        store, ledger = request.getfixturevalue("supabase")
        yield RealWorld(store, ledger, database)


# -- starting ---------------------------------------------------------------------------------


def test_a_run_starts_with_what_it_is_given(world: World) -> None:
    policy = Policy(
        tolerance=FlowAmount(7),
        batch_size=3,
        settle_s=1.5,
        halt_share=0.25,
        halt_min_users=9,
        halt_unread_share=0.125,
    )
    plan = planned(
        kind=RunKind.INCREMENTAL,
        dry_run=True,
        admin_address="0x1",
        policy=policy,
        accepted_halt="known",
        covered_height=20,
        from_height=11,
        rotate_after=user(1),
        fallback_reason="none",
    )
    run = world.store.start_run(plan)
    assert run == Run(
        run_id=plan.run_id,
        kind=RunKind.INCREMENTAL,
        state=RunState.PLANNING,
        dry_run=True,
        admin_address="0x1",
        policy=policy,
        started_at=run.started_at,
        outcomes=dict.fromkeys(Outcome, 0),
        accepted_halt="known",
        covered_height=20,
        from_height=11,
        fallback_reason="none",
    )
    assert run.started_at.tzinfo is not None
    assert world.store.get_run(plan.run_id) == run


def test_the_same_run_again_is_that_run(world: World) -> None:
    plan = planned()
    first = world.store.start_run(plan)
    assert world.store.start_run(replace(plan, dry_run=True, admin_address="else")) == first


def test_one_run_that_writes_at_a_time(world: World) -> None:
    first = started(world, users=3)
    with pytest.raises(RunActive, match=str(first)):
        world.store.start_run(planned())
    assert world.store.start_run(planned(dry_run=True)).state is RunState.PLANNING
    world.store.end_run(first, RunState.CANCELLED)
    assert world.store.start_run(planned()).state is RunState.PLANNING


def test_a_run_that_waits_for_approval_is_in_nobodys_way(world: World) -> None:
    run_id = started(world, users=1, needs_approval=True)
    assert scan(world, run_id, differing(1)).state is RunState.AWAITING_APPROVAL
    assert world.store.active_run() is None
    other = world.store.start_run(planned())
    with pytest.raises(RunActive, match=str(other.run_id)):
        world.store.approve(run_id)
    assert world.store.get_run(run_id).state is RunState.AWAITING_APPROVAL


def lease_of(run_id: UUID) -> Lease:
    return Lease(ref=ChunkRef(run_id, Phase.SCAN, 0), token=uuid4(), attempt=1, users=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda store, nobody: store.get_run(nobody),
        lambda store, nobody: store.add_user_chunk(nobody, 0, [user(1)]),
        lambda store, nobody: store.plan_chunks(nobody, chunk_users=1, chunks_max=None),
        lambda store, nobody: store.lease_chunks(nobody, lease_s=1, attempts_max=1),
        lambda store, nobody: store.close_scan(lease_of(nobody), found()),
        lambda store, nobody: store.decide(nobody, None),
        lambda store, nobody: store.close_correction(lease_of(nobody), [], 0),
        lambda store, nobody: store.fail_attempt(lease_of(nobody), fault(), attempts_max=1),
        lambda store, nobody: store.requeue(nobody, older_than_s=1, attempts_max=1),
        lambda store, nobody: store.approve(nobody),
        lambda store, nobody: store.end_run(nobody, RunState.CANCELLED),
        lambda store, nobody: store.list_runs(before=nobody),
        lambda store, nobody: store.list_results(nobody, after=None, limit=1),
        lambda store, nobody: store.count_results(nobody),
    ],
)
def test_a_run_that_is_not_there(world: World, call: Callable[[RunStore, UUID], object]) -> None:
    with pytest.raises(RunNotFound):
        call(world.store, uuid4())


# -- planning ---------------------------------------------------------------------------------


def ranges(leases: tuple[Lease, ...]) -> list[tuple[str | None, str | None, int]]:
    return [(lease.after, lease.through, lease.users) for lease in leases]


def test_the_chunks_cover_every_key_once(world: World) -> None:
    run_id = started(world, users=5)
    leases = leased(world, run_id)
    assert ranges(leases) == [
        (None, user(2), 2),
        (user(2), user(4), 2),
        (user(4), None, 1),
    ]
    pages = [world.ledger.list_balances(each.after, 10, each.through) for each in leases]
    assert [list(page.user_addresses) for page in pages] == [
        [user(1), user(2)],
        [user(3), user(4)],
        [user(5)],
    ]
    run = world.store.get_run(run_id)
    assert (run.state, run.users_planned, run.users) == (RunState.SCANNING, 5, 0)
    assert run.scan == PhaseTally(leased=3)


def test_the_last_chunk_is_open_for_users_yet_to_come(world: World) -> None:
    run_id = started(world, users=4)
    assert ranges(leased(world, run_id))[1:] == [(user(2), user(4), 2), (user(4), None, 0)]


def test_an_empty_ledger_has_nothing_to_scan(world: World) -> None:
    run_id = started(world)
    assert leased(world, run_id) == ()
    run = world.store.decide(run_id, None)
    assert (run.state, run.users, run.scan) == (RunState.FINISHED, 0, PhaseTally())


def test_a_plan_is_made_once(world: World) -> None:
    run_id = started(world, users=3)
    before = world.store.get_run(run_id)
    assert world.store.plan_chunks(run_id, chunk_users=1, chunks_max=None) == before


def test_a_large_ledger_is_cut_in_several_calls(world: World) -> None:
    world.put(*map(user, range(5_001)))
    run = world.store.start_run(planned())
    first = world.store.plan_chunks(run.run_id, chunk_users=1, chunks_max=None)
    assert (first.state, first.scan.pending) == (RunState.PLANNING, 5_000)
    second = world.store.plan_chunks(run.run_id, chunk_users=1, chunks_max=None)
    assert (second.state, second.scan.pending) == (RunState.SCANNING, 5_002)
    assert second.users_planned == 5_001


def test_named_users_have_a_chunk_of_their_own(world: World) -> None:
    world.put(user(1), user(2))
    run_id = world.store.start_run(planned()).run_id
    world.store.add_user_chunk(run_id, 0, [user(9), user(2)])
    world.store.add_user_chunk(run_id, 0, [user(9), user(2)])
    world.store.add_user_chunk(run_id, 1, [user(7)])
    run = world.store.plan_chunks(run_id, chunk_users=5, chunks_max=1)
    assert (run.state, run.users_planned, run.scan.pending) == (RunState.SCANNING, 5, 3)
    named, other, rest = leased(world, run_id)
    assert (named.user_addresses, named.users) == ((user(9), user(2)), 2)
    assert (other.user_addresses, other.ref.chunk_no) == ((user(7),), 1)
    assert (rest.user_addresses, rest.ref.chunk_no, rest.users) == (None, 2, 2)


@pytest.mark.parametrize("users", [0, 50_001])
def test_a_chunk_of_too_few_or_too_many_users_is_refused(world: World, users: int) -> None:
    run_id = world.store.start_run(planned()).run_id
    with pytest.raises(LedgerInvalidValue):
        world.store.add_user_chunk(run_id, 0, list(map(user, range(users))))
    assert world.store.get_run(run_id).scan == PhaseTally()


@pytest.mark.parametrize("chunk_users", [0, 50_001])
def test_a_chunk_size_out_of_range_is_refused(world: World, chunk_users: int) -> None:
    run_id = world.store.start_run(planned()).run_id
    with pytest.raises(LedgerInvalidValue):
        world.store.plan_chunks(run_id, chunk_users=chunk_users, chunks_max=None)


@pytest.mark.parametrize(
    ("rotate_after", "chunks_max", "expected", "rotated_through"),
    [
        (None, 1, [(None, user(2), 2)], user(2)),
        (None, 2, [(None, user(2), 2), (user(2), user(4), 2)], user(4)),
        (user(2), 1, [(user(2), user(4), 2)], user(4)),
        (user(4), 1, [(user(4), None, 1)], None),
        (user(3), 7, [(user(3), user(5), 2), (user(5), None, 0)], None),
        (user(2), 0, [], user(2)),
    ],
)
def test_a_rotating_part_goes_on_where_the_last_one_ended(
    world: World,
    rotate_after: str | None,
    chunks_max: int,
    expected: list[tuple[str | None, str | None, int]],
    rotated_through: str | None,
) -> None:
    world.put(*map(user, range(1, 6)))
    plan = planned(kind=RunKind.INCREMENTAL, rotate_after=rotate_after)
    run = world.store.start_run(plan)
    run = world.store.plan_chunks(run.run_id, chunk_users=2, chunks_max=chunks_max)
    assert (run.state, run.rotated_through) == (RunState.SCANNING, rotated_through)
    assert ranges(leased(world, run.run_id)) == expected


# -- leasing ----------------------------------------------------------------------------------


def numbers(leases: tuple[Lease, ...]) -> list[int]:
    return [lease.ref.chunk_no for lease in leases]


def test_every_chunk_is_leased_to_one_worker(world: World) -> None:
    run_id = started(world, users=5)
    assert numbers(leased(world, run_id, limit=2)) == [0, 1]
    assert numbers(leased(world, run_id)) == [2]
    assert leased(world, run_id) == ()


def test_workers_that_ask_at_once_get_different_chunks(world: World) -> None:
    run_id = started(world, users=40)
    with ThreadPoolExecutor(4) as workers:
        asked = [workers.submit(leased, world, run_id, limit=1) for _ in range(21)]
        got = [number for each in asked for number in numbers(each.result())]
    assert sorted(got) == list(range(21))


def test_a_chunk_can_be_asked_for(world: World) -> None:
    run_id = started(world, users=5)
    ref = ChunkRef(run_id, Phase.SCAN, 1)
    [lease] = leased(world, run_id, ref)
    assert (lease.ref, lease.attempt) == (ref, 1)
    assert leased(world, run_id, ref) == ()
    assert leased(world, run_id, ChunkRef(run_id, Phase.CORRECT, 0)) == ()
    assert leased(world, run_id, ChunkRef(run_id, Phase.SCAN, 99)) == ()
    world.store.close_scan(lease, found(in_sync=2))
    world.pass_time(LEASE_S + 1)
    assert leased(world, run_id, ref) == ()


def test_an_expired_lease_is_taken_over(world: World) -> None:
    run_id = started(world, users=1)
    [lost] = leased(world, run_id)
    world.pass_time(LEASE_S - 1)
    assert leased(world, run_id) == ()
    world.pass_time(2)
    [taken] = leased(world, run_id)
    assert (taken.ref, taken.attempt) == (lost.ref, 2)
    assert taken.token != lost.token
    assert not world.store.close_scan(lost, found([differing(1)])).accepted
    assert world.store.count_results(run_id) == 0
    assert world.store.close_scan(taken, found(in_sync=1)).accepted


def test_an_expired_lease_that_nobody_took_over_still_counts(world: World) -> None:
    run_id = started(world, users=1)
    [late] = leased(world, run_id)
    world.pass_time(LEASE_S + 1)
    assert world.store.close_scan(late, found(in_sync=1)) == Closed(
        accepted=True, state=RunState.SCANNING, open_chunks=0, outcomes={Outcome.IN_SYNC: 1}
    )


def test_a_chunk_has_so_many_attempts(world: World) -> None:
    run_id = started(world, users=1)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        [lease] = leased(world, run_id)
        assert lease.attempt == attempt
        world.pass_time(LEASE_S + 1)
    assert leased(world, run_id) == ()


def test_a_chunk_that_is_handed_back_has_lost_no_attempt(world: World) -> None:
    run_id = started(world, users=1)
    [lease] = leased(world, run_id)
    world.store.release(lease)
    assert world.store.get_run(run_id).scan == PhaseTally(pending=1)
    [again] = leased(world, run_id)
    assert again.attempt == 1
    world.store.release(lease)
    assert world.store.get_run(run_id).scan == PhaseTally(leased=1)


def test_nothing_of_a_run_that_has_ended_can_be_worked(world: World) -> None:
    run_id = started(world, users=3)
    lease, *_ = leased(world, run_id, limit=1)
    run = world.store.end_run(run_id, RunState.CANCELLED)
    assert (run.state, run.scan) == (RunState.CANCELLED, PhaseTally(leased=1, pending=1))
    assert leased(world, run_id) == ()
    refused = Closed(accepted=False, state=RunState.CANCELLED, open_chunks=2)
    assert world.store.close_scan(lease, found([differing(1)])) == refused
    assert world.store.fail_attempt(lease, fault(), attempts_max=1) == refused
    assert world.store.count_results(run_id) == 0
    assert world.store.decide(run_id, None) == run


# -- scanning ---------------------------------------------------------------------------------


def counts(run: Run) -> dict[str, int]:
    """The outcomes that occur; they always add up."""
    assert sum(run.outcomes.values()) == run.users
    return {str(outcome): number for outcome, number in run.outcomes.items() if number}


def test_a_runs_counts_are_what_its_chunks_add_up_to(world: World) -> None:
    run_id = started(world, users=7, chunk_users=4)
    first, second = leased(world, run_id)
    closed = world.store.close_scan(
        first, found([differing(1, 8), differing(2, 0)], [unread(3)], in_sync=1, heights=(9, 12))
    )
    assert closed == Closed(
        accepted=True,
        state=RunState.SCANNING,
        open_chunks=1,
        outcomes={Outcome.IN_SYNC: 1, Outcome.FAILED: 1},
    )
    world.store.close_scan(
        second, found([differing(9, 2**60, exists=False)], in_sync=2, heights=(7, 11))
    )
    run = world.store.get_run(run_id)
    assert counts(run) == {"in_sync": 3, "would_correct": 3, "failed": 1}
    assert (run.users, run.candidates, run.unread, run.script_calls) == (7, 3, 1, 2)
    assert (run.funded, run.funded_reading_zero) == (6, 1)
    assert (run.surplus, run.deficit) == (2**60 + 3, -5)
    assert (run.first_height, run.last_height) == (7, 12)
    assert run.scan == PhaseTally(done=2)


def test_closing_a_chunk_again_is_accepted_and_changes_nothing(world: World) -> None:
    run_id = started(world, users=1)
    [lease] = leased(world, run_id)
    first = world.store.close_scan(lease, found([differing(1)]))
    before = world.store.get_run(run_id)
    assert world.store.close_scan(lease, found([differing(1)])) == first
    assert world.store.get_run(run_id) == before


def test_a_scan_whose_numbers_do_not_add_up_is_refused(world: World) -> None:
    run_id = started(world, users=1)
    [lease] = leased(world, run_id)
    with pytest.raises(LedgerInvalidValue):
        world.store.close_scan(lease, replace(found([differing(1)]), users=2))
    assert world.store.get_run(run_id).scan == PhaseTally(leased=1)
    assert world.store.count_results(run_id) == 0


def test_a_user_of_two_chunks_is_counted_once(world: World) -> None:
    world.put(user(1), user(2))
    run_id = world.store.start_run(planned()).run_id
    world.store.add_user_chunk(run_id, 0, [user(1), user(9)])
    world.store.plan_chunks(run_id, chunk_users=5, chunks_max=1)
    named, rotating = leased(world, run_id)
    world.store.close_scan(named, found([differing(1, 8)], [unread(9)]))
    world.store.close_scan(rotating, found([differing(1, 9, height=11), differing(2)]))
    run = world.store.get_run(run_id)
    assert counts(run) == {"would_correct": 2, "failed": 1}
    assert run.surplus == 3 + 3
    kept = world.store.list_results(run_id, after=None, limit=1)[0]
    assert (kept.user_address, kept.new_balance, kept.scan_height) == (user(1), 8, HEIGHT)


def test_results_tell_what_the_scan_saw(world: World) -> None:
    run_id = started(world, users=2)
    lease, _ = leased(world, run_id)
    world.store.close_scan(lease, found([differing(1, 8)], [unread(2)]))
    first, second = world.store.list_results(run_id, after=None, limit=10)
    assert (first.user_address, first.outcome) == (user(1), Outcome.WOULD_CORRECT)
    assert (first.old_balance, first.new_balance, first.discrepancy) == (5, 8, 3)
    assert (first.scan_height, first.audit_id, first.error_code) == (HEIGHT, None, None)
    assert (second.user_address, second.outcome) == (user(2), Outcome.FAILED)
    assert (second.error_code, second.error) == (fault().code, str(fault()))
    assert (second.new_balance, second.discrepancy, second.scan_height) == (None, None, None)


# -- the decision after the scan --------------------------------------------------------------


def test_nothing_is_decided_before_the_scan_is_over(world: World) -> None:
    run_id = started(world, users=3)
    lease, _ = leased(world, run_id)
    world.store.close_scan(lease, found([differing(1)], in_sync=1))
    before = world.store.get_run(run_id)
    assert world.store.decide(run_id, HALT) == before
    assert before.scanned_at is None


@pytest.mark.parametrize(
    ("changes", "candidates", "halt", "state"),
    [
        ({}, 2, None, RunState.CORRECTING),
        ({}, 0, None, RunState.FINISHED),
        ({"dry_run": True}, 2, None, RunState.FINISHED),
        ({"needs_approval": True}, 2, None, RunState.AWAITING_APPROVAL),
        ({"needs_approval": True}, 0, None, RunState.FINISHED),
        ({}, 2, HALT, RunState.HALTED),
        ({"needs_approval": True}, 2, HALT, RunState.HALTED),
        ({"accepted_halt": "known"}, 2, HALT, RunState.CORRECTING),
        ({"accepted_halt": "known", "needs_approval": True}, 2, HALT, RunState.AWAITING_APPROVAL),
    ],
)
def test_what_comes_after_the_scan(
    world: World, changes: dict[str, object], candidates: int, halt: Halt | None, state: RunState
) -> None:
    run_id = started(world, users=3, chunk_users=5, **changes)
    [lease] = leased(world, run_id)
    differ = [differing(number) for number in range(1, candidates + 1)]
    world.store.close_scan(lease, found(differ, in_sync=3 - candidates))
    run = world.store.decide(run_id, halt)
    assert (run.state, run.halt) == (state, halt)
    assert run.scanned_at is not None
    assert (run.finished_at is None) == (state not in (RunState.FINISHED, RunState.HALTED))
    assert run.correct == PhaseTally(pending=1 if state is RunState.CORRECTING else 0)
    assert world.store.decide(run_id, None) == run


# -- correcting -------------------------------------------------------------------------------


def test_corrections_wait_until_differences_have_settled(world: World) -> None:
    run_id = started(world, users=1)
    scan(world, run_id, differing(1))
    early = world.store.lease_chunks(run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX)
    assert (early.state, early.leases) == (RunState.CORRECTING, ())
    assert SETTLE_S - 5 < early.wait_s <= SETTLE_S
    world.pass_time(SETTLE_S - 5)
    assert leased(world, run_id) == ()
    late = ChunkRef(run_id, Phase.SCAN, 0)  # a message that was delivered twice: not too early
    assert world.store.lease_chunks(
        run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX, ref=late
    ) == Leased(state=RunState.CORRECTING)
    world.pass_time(6)
    answer = world.store.lease_chunks(run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX)
    assert (answer.wait_s, len(answer.leases)) == (0.0, 1)


def test_the_candidates_are_cut_into_batches_by_key(world: World) -> None:
    found_ones = [differing(3), differing(1), differing(5, exists=False), differing(2)]
    run_id = correcting(world, *found_ones, policy=Policy(batch_size=3, settle_s=SETTLE_S))
    leases = leased(world, run_id)
    assert [(lease.ref.phase, lease.users) for lease in leases] == [
        (Phase.CORRECT, 3),
        (Phase.CORRECT, 1),
    ]
    listed = [world.store.list_candidates(lease) for lease in leases]
    assert listed == [[differing(1), differing(2), differing(3)], [differing(5, exists=False)]]


def test_a_correction_chunk_keeps_what_became_of_everybody(world: World) -> None:
    candidates = [differing(number) for number in range(1, 5)]
    run_id = correcting(world, *candidates, policy=Policy(batch_size=9, settle_s=SETTLE_S))
    [lease] = leased(world, run_id)
    first, second, third, fourth = candidates
    correct_in_ledger(world, run_id, [first])
    closed = world.store.close_correction(
        lease,
        [
            result(fourth, Outcome.FAILED, new_balance=None, error="no", error_code="panicked"),
            result(first, Outcome.CORRECTED),
            result(second, Outcome.TRANSIENT),
            result(third, Outcome.CHANGED_MEANWHILE, error="moved", error_code="stale_height"),
        ],
        script_calls=3,
    )
    run = world.store.get_run(run_id)
    assert run.finished_at is not None
    assert counts(run) == {
        "corrected": 1,
        "transient": 1,
        "changed_meanwhile": 1,
        "failed": 1,
    }
    outcomes = {outcome: number for outcome, number in run.outcomes.items() if number}
    assert closed == Closed(
        accepted=True, state=RunState.FINISHED, open_chunks=0, outcomes=outcomes
    )
    assert (run.candidates, run.unread, run.correct) == (4, 0, PhaseTally(done=1))
    results = world.store.list_results(run_id, after=None, limit=10)
    assert [each.outcome for each in results] == [
        Outcome.CORRECTED,
        Outcome.TRANSIENT,
        Outcome.CHANGED_MEANWHILE,
        Outcome.FAILED,
    ]
    assert (results[0].block_height, results[0].scan_height) == (HEIGHT + 1, HEIGHT)
    assert results[0].audit_id is not None
    assert (results[2].error_code, results[2].error) == ("stale_height", "moved")
    assert (results[3].error_code, results[3].old_balance) == ("panicked", 5)


def test_closing_a_correction_again_is_accepted_and_changes_nothing(world: World) -> None:
    run_id = correcting(world, differing(1))
    [lease] = leased(world, run_id)
    closed = world.store.close_correction(lease, [result(differing(1), Outcome.TRANSIENT)], 1)
    before = world.store.get_run(run_id)
    again = world.store.close_correction(lease, [result(differing(1), Outcome.FAILED)], 1)
    assert again == closed
    assert world.store.get_run(run_id) == before


def test_the_audit_log_knows_better_who_was_corrected(world: World) -> None:
    run_id = correcting(world, differing(1, 9), differing(2))
    [lost] = leased(world, run_id)
    correct_in_ledger(world, run_id, [differing(1, 9)], height=21)
    world.pass_time(LEASE_S + 1)
    [taken] = leased(world, run_id)
    moved = [result(differing(number), Outcome.CHANGED_MEANWHILE) for number in (1, 2)]
    assert world.store.close_correction(taken, moved, 1).outcomes == {
        Outcome.CORRECTED: 1,
        Outcome.CHANGED_MEANWHILE: 1,
    }
    assert not world.store.close_correction(lost, moved, 1).accepted
    first, second = world.store.list_results(run_id, after=None, limit=10)
    assert (first.outcome, second.outcome) == (Outcome.CORRECTED, Outcome.CHANGED_MEANWHILE)
    assert (first.old_balance, first.new_balance, first.block_height) == (5, 9, 21)
    assert first.audit_id is not None
    assert (first.error, first.error_code) == (None, None)


def test_every_candidate_of_a_chunk_needs_a_result(world: World) -> None:
    run_id = correcting(world, differing(1), differing(2))
    [lease] = leased(world, run_id)
    with pytest.raises(LedgerInvalidValue):
        world.store.close_correction(lease, [result(differing(1), Outcome.TRANSIENT)], 1)
    run = world.store.get_run(run_id)
    assert (counts(run), run.correct) == ({"would_correct": 2}, PhaseTally(leased=1))


def test_only_the_audit_log_can_say_that_somebody_was_corrected(world: World) -> None:
    run_id = correcting(world, differing(1))
    [lease] = leased(world, run_id)
    with pytest.raises(LedgerInvalidValue):
        world.store.close_correction(lease, [result(differing(1), Outcome.CORRECTED)], 1)
    assert counts(world.store.get_run(run_id)) == {"would_correct": 1}


def test_the_last_correction_finishes_the_run(world: World) -> None:
    candidates = [differing(number) for number in range(1, 5)]
    run_id = correcting(world, *candidates)
    first, second = leased(world, run_id)
    closed = world.store.close_correction(
        second, [result(each, Outcome.TRANSIENT) for each in candidates[2:]], 1
    )
    two = {Outcome.TRANSIENT: 2}
    assert closed == Closed(accepted=True, state=RunState.CORRECTING, open_chunks=1, outcomes=two)
    assert counts(world.store.get_run(run_id)) == {"transient": 2, "would_correct": 2}
    closed = world.store.close_correction(
        first, [result(each, Outcome.TRANSIENT) for each in candidates[:2]], 1
    )
    assert closed == Closed(accepted=True, state=RunState.FINISHED, open_chunks=0, outcomes=two)


def test_two_last_closers_finish_the_run(world: World) -> None:
    candidates = [differing(number) for number in range(1, 17)]
    run_id = correcting(world, *candidates)
    leases = leased(world, run_id)
    with ThreadPoolExecutor(len(leases)) as workers:
        closing = [
            workers.submit(
                world.store.close_correction,
                lease,
                [result(each, Outcome.TRANSIENT) for each in candidates],
                1,
            )
            for lease in leases
        ]
        assert all(each.result().accepted for each in closing)
    run = world.store.get_run(run_id)
    assert (run.state, counts(run)) == (RunState.FINISHED, {"transient": 16})


# -- failing ----------------------------------------------------------------------------------


def test_a_failed_attempt_leaves_the_chunk_to_the_next(world: World) -> None:
    run_id = started(world, users=1)
    [lease] = leased(world, run_id)
    closed = world.store.fail_attempt(lease, fault(), attempts_max=2)
    assert closed == Closed(accepted=True, state=RunState.SCANNING, open_chunks=1)
    assert world.store.get_run(run_id).scan == PhaseTally(pending=1)
    [again] = leased(world, run_id)
    assert again.attempt == 2


def test_everybody_of_a_range_that_cannot_be_scanned_has_failed(world: World) -> None:
    run_id = started(world, users=4)
    _, second, _ = leased(world, run_id)
    closed = world.store.fail_attempt(second, fault(), attempts_max=1)
    assert closed == Closed(
        accepted=True, state=RunState.SCANNING, open_chunks=2, outcomes={Outcome.FAILED: 2}
    )
    run = world.store.get_run(run_id)
    assert (counts(run), run.unread, run.scan.failed) == ({"failed": 2}, 2, 1)
    results = world.store.list_results(run_id, after=None, limit=10)
    assert [(each.user_address, each.error_code) for each in results] == [
        (user(3), fault().code),
        (user(4), fault().code),
    ]
    assert results[0].error == str(fault())


def test_everybody_of_a_named_chunk_that_cannot_be_scanned_has_failed(world: World) -> None:
    world.put(user(1))
    run_id = world.store.start_run(planned()).run_id
    world.store.add_user_chunk(run_id, 0, [user(1), user(9)])
    world.store.plan_chunks(run_id, chunk_users=2, chunks_max=1)
    named, rotating = leased(world, run_id)
    world.store.close_scan(rotating, found([differing(1)]))
    assert world.store.fail_attempt(named, fault(), attempts_max=1).accepted
    run = world.store.get_run(run_id)
    assert counts(run) == {"would_correct": 1, "failed": 1}
    assert run.users == 2


def test_a_correction_that_cannot_be_made_has_failed_but_for_whom_it_was(world: World) -> None:
    run_id = correcting(world, differing(1), differing(2))
    [lease] = leased(world, run_id)
    correct_in_ledger(world, run_id, [differing(2)])
    closed = world.store.fail_attempt(lease, fault(), attempts_max=1)
    assert closed == Closed(
        accepted=True,
        state=RunState.FINISHED,
        open_chunks=0,
        outcomes={Outcome.CORRECTED: 1, Outcome.FAILED: 1},
    )
    run = world.store.get_run(run_id)
    assert counts(run) == {"corrected": 1, "failed": 1}
    assert (run.unread, run.correct) == (0, PhaseTally(failed=1))
    first, second = world.store.list_results(run_id, after=None, limit=10)
    assert (first.outcome, first.error_code) == (Outcome.FAILED, fault().code)
    assert second.outcome is Outcome.CORRECTED


def test_a_lost_lease_fails_nobody(world: World) -> None:
    run_id = started(world, users=1)
    [lost] = leased(world, run_id)
    world.pass_time(LEASE_S + 1)
    leased(world, run_id)
    assert not world.store.fail_attempt(lost, fault(), attempts_max=1).accepted
    assert world.store.get_run(run_id).scan == PhaseTally(leased=1)


# -- what is sent to a queue ------------------------------------------------------------------


def sent_again(world: World, run_id: UUID, older_than_s: float = 900) -> list[int]:
    answer = world.store.requeue(run_id, older_than_s=older_than_s, attempts_max=ATTEMPTS_MAX)
    assert {ref.run_id for ref in answer.refs} <= {run_id}
    return [ref.chunk_no for ref in answer.refs]


def test_a_chunk_has_one_message_until_that_is_taken_for_lost(world: World) -> None:
    run_id = started(world, users=5)
    assert sent_again(world, run_id) == [0, 1, 2]
    assert sent_again(world, run_id) == []
    world.pass_time(899)
    assert sent_again(world, run_id) == []
    world.pass_time(2)
    assert sent_again(world, run_id) == [0, 1, 2]


def test_a_chunk_whose_worker_is_lost_has_a_new_message(world: World) -> None:
    run_id = started(world, users=5)
    sent_again(world, run_id)
    done, *_ = leased(world, run_id, limit=2)
    world.store.close_scan(done, found(in_sync=2))
    world.pass_time(LEASE_S + 1)
    assert sent_again(world, run_id) == [1]


def test_a_chunk_that_was_handed_back_has_a_new_message(world: World) -> None:
    run_id = started(world, users=5)
    sent_again(world, run_id)
    first, second = leased(world, run_id, limit=2)
    world.store.release(first)
    world.store.fail_attempt(second, fault(), attempts_max=2)
    assert sent_again(world, run_id) == [0]


def test_requeue_tells_how_the_chunks_stand(world: World) -> None:
    run_id = started(world, users=9)
    done, failed, _ = leased(world, run_id, limit=3)
    world.store.close_scan(done, found(in_sync=2))
    world.store.fail_attempt(failed, fault(), attempts_max=1)
    answer = world.store.requeue(run_id, older_than_s=900, attempts_max=ATTEMPTS_MAX)
    assert (answer.state, answer.gave_up, answer.wait_s) == (RunState.SCANNING, 0, 0.0)
    assert (answer.pending, answer.leased, answer.done, answer.failed) == (2, 1, 1, 1)
    assert answer.refs == tuple(ChunkRef(run_id, Phase.SCAN, number) for number in (3, 4))


def test_corrections_are_sent_with_their_delay(world: World) -> None:
    run_id = started(world, users=1)
    scan(world, run_id, differing(1))
    answer = world.store.requeue(run_id, older_than_s=900, attempts_max=ATTEMPTS_MAX)
    assert answer.refs == (ChunkRef(run_id, Phase.CORRECT, 0),)
    assert SETTLE_S - 5 < answer.wait_s <= SETTLE_S


def test_a_chunk_that_is_out_of_attempts_is_given_up(world: World) -> None:
    run_id = started(world, users=3)
    for _ in range(2):
        leased(world, run_id, limit=1)
        world.pass_time(LEASE_S + 1)
    answer = world.store.requeue(run_id, older_than_s=900, attempts_max=2)
    assert (answer.gave_up, answer.failed, answer.open_chunks) == (1, 1, 1)
    assert answer.outcomes == {Outcome.FAILED: 2}
    assert [ref.chunk_no for ref in answer.refs] == [1]
    results = world.store.list_results(run_id, after=None, limit=10)
    assert [(each.user_address, each.error_code) for each in results] == [
        (user(1), "chunk_gave_up"),
        (user(2), "chunk_gave_up"),
    ]


def test_giving_up_the_last_correction_finishes_the_run(world: World) -> None:
    run_id = correcting(world, differing(1), differing(2))
    leased(world, run_id)
    early = world.store.requeue(run_id, older_than_s=900, attempts_max=1)
    assert (early.gave_up, early.outcomes) == (0, {})
    correct_in_ledger(world, run_id, [differing(2)])
    world.pass_time(LEASE_S + 1)
    answer = world.store.requeue(run_id, older_than_s=900, attempts_max=1)
    assert (answer.state, answer.gave_up, answer.refs) == (RunState.FINISHED, 1, ())
    assert answer.outcomes == {Outcome.CORRECTED: 1, Outcome.FAILED: 1}
    assert counts(world.store.get_run(run_id)) == {"corrected": 1, "failed": 1}


# -- approving and ending ---------------------------------------------------------------------


def test_an_approved_run_corrects(world: World) -> None:
    run_id = correcting(world, differing(1), needs_approval=True)
    assert leased(world, run_id) == ()
    run = world.store.approve(run_id)
    assert (run.state, run.correct) == (RunState.CORRECTING, PhaseTally(pending=1))
    [lease] = leased(world, run_id)  # it has waited already, for somebody to approve it
    assert world.store.list_candidates(lease) == [differing(1)]


def test_an_approval_or_an_end_whose_answer_was_lost_may_be_repeated(world: World) -> None:
    run_id = correcting(world, differing(1), needs_approval=True)
    approved = world.store.approve(run_id)
    assert world.store.approve(run_id) == approved
    ended = world.store.end_run(run_id, RunState.FAILED, fault())
    assert world.store.end_run(run_id, RunState.FAILED, fault()) == ended
    with pytest.raises(RunNotApplicable):
        world.store.approve(run_id)


def test_a_run_that_needs_no_approval_is_not_approved(world: World) -> None:
    run_id = correcting(world, differing(1))
    with pytest.raises(RunNotApplicable):
        world.store.approve(run_id)


def test_a_declined_run_corrects_nobody(world: World) -> None:
    run_id = correcting(world, differing(1), needs_approval=True)
    run = world.store.end_run(run_id, RunState.DECLINED)
    assert run.state is RunState.DECLINED
    assert run.finished_at is not None
    assert counts(run) == {"would_correct": 1}
    with pytest.raises(RunNotApplicable):
        world.store.approve(run_id)


def test_an_error_ends_a_run(world: World) -> None:
    run_id = started(world, users=1)
    run = world.store.end_run(run_id, RunState.FAILED, fault())
    assert (run.state, run.error_code, run.error) == (RunState.FAILED, fault().code, str(fault()))


def test_a_run_ends_once(world: World) -> None:
    run_id = started(world, users=1)
    world.store.end_run(run_id, RunState.CANCELLED)
    with pytest.raises(RunNotApplicable):
        world.store.end_run(run_id, RunState.FAILED, fault())
    assert world.store.get_run(run_id).state is RunState.CANCELLED


def test_a_run_that_is_ended_while_it_corrects_tells_whom_it_has_corrected(world: World) -> None:
    run_id = correcting(world, differing(1), differing(2), differing(3))
    leased(world, run_id, limit=1)
    correct_in_ledger(world, run_id, [differing(2)])
    run = world.store.end_run(run_id, RunState.CANCELLED)
    assert counts(run) == {"corrected": 1, "would_correct": 2}
    results = world.store.list_results(run_id, after=None, limit=9, outcomes=[Outcome.CORRECTED])
    assert [each.user_address for each in results] == [user(2)]


# -- who is held ------------------------------------------------------------------------------


def test_who_is_held_is_a_result_and_no_candidate(world: World) -> None:
    run_id = started(world, users=3, chunk_users=9)
    [lease] = leased(world, run_id)
    with_held = found([differing(1)], in_sync=1, held=[differing(2)])
    assert world.store.close_scan(lease, with_held).accepted
    run = world.store.decide(run_id, None)
    assert counts(run) == {"in_sync": 1, "would_correct": 1, "held": 1}
    assert (run.users, run.candidates, run.unread, run.surplus) == (3, 1, 0, 3)
    assert run.scan_counts().users == 2
    [held] = world.store.list_results(run_id, after=None, limit=9, outcomes=[Outcome.HELD])
    assert (held.user_address, held.old_balance, held.new_balance) == (user(2), 5, 8)
    assert (held.block_height, held.scan_height) == (HEIGHT, HEIGHT)
    assert (held.error_code, held.success) == ("user_held", False)
    assert world.store.count_results(run_id, [Outcome.HELD]) == 1


def test_a_run_that_finds_only_users_who_are_held_is_finished(world: World) -> None:
    run_id = started(world, users=1)
    [lease] = leased(world, run_id)
    world.store.close_scan(lease, found(held=[differing(1)]))
    run = world.store.decide(run_id, None)
    assert (run.state, counts(run)) == (RunState.FINISHED, {"held": 1})


def test_who_is_held_since_the_scan_is_counted_once(world: World) -> None:
    run_id = correcting(world, differing(1), differing(2), chunk_users=9)
    [lease] = leased(world, run_id)
    correct_in_ledger(world, run_id, [differing(1)])
    outcomes = [
        result(differing(1), Outcome.CORRECTED),
        result(differing(2), Outcome.HELD, error="held", error_code="user_held"),
    ]
    assert world.store.close_correction(lease, outcomes, 1).state is RunState.FINISHED
    run = world.store.get_run(run_id)
    assert counts(run) == {"corrected": 1, "held": 1}
    assert (run.users, run.decided, run.unresolved) == (2, 2, 0)


def test_a_plan_takes_over_who_was_held(world: World) -> None:
    source_id = started(world, users=3, chunk_users=9, dry_run=True)
    [lease] = leased(world, source_id)
    world.store.close_scan(lease, found([differing(1)], in_sync=1, held=[differing(2, 1)]))
    source = world.store.decide(source_id, None)
    run = plan_of(world, source_id)
    assert counts(run) == counts(source) == {"in_sync": 1, "would_correct": 1, "held": 1}
    assert (run.surplus, run.deficit) == (3, 0)


# -- plans ------------------------------------------------------------------------------------


def plan_of(world: World, plan_run_id: UUID, **changes: object) -> Run:
    """A run that carries out what the other one found."""
    return world.store.start_run(planned(kind=RunKind.PLAN, plan_run_id=plan_run_id, **changes))


def test_what_a_dry_run_found_can_be_carried_out(world: World) -> None:
    world.put(user(1), user(2), user(3))
    source_id = started(world, dry_run=True, chunk_users=9)
    source = scan(world, source_id, differing(1), differing(2, 0), failures=1)
    run = plan_of(world, source_id)
    assert (run.state, run.kind, run.plan_run_id) == (RunState.SCANNING, RunKind.PLAN, source_id)
    assert run.scan_counts() == source.scan_counts()
    assert counts(run) == counts(source)
    assert (run.surplus, run.deficit, run.users_planned) == (3, -5, source.users)
    assert (run.first_height, run.last_height) == (source.first_height, source.last_height)
    assert leased(world, run.run_id) == ()
    assert world.store.decide(run.run_id, None).state is RunState.CORRECTING
    world.pass_time(SETTLE_S + 1)
    [lease] = leased(world, run.run_id)
    assert world.store.list_candidates(lease) == [differing(1), differing(2, 0)]
    [failed] = world.store.list_results(run.run_id, after=None, limit=9, outcomes=[Outcome.FAILED])
    assert failed.error_code == fault().code


def test_a_plan_waits_from_the_scan_that_found_it(world: World) -> None:
    source_id = started(world, users=1, dry_run=True)
    scan(world, source_id, differing(1))
    world.pass_time(SETTLE_S - 10)
    run = world.store.decide(plan_of(world, source_id).run_id, None)
    answer = world.store.lease_chunks(run.run_id, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX)
    assert 0 < answer.wait_s <= 10


def test_a_plan_can_be_halted_and_carried_out_again(world: World) -> None:
    source_id = started(world, users=1, dry_run=True)
    scan(world, source_id, differing(1))
    halted = world.store.decide(plan_of(world, source_id).run_id, HALT)
    assert halted.state is RunState.HALTED
    again = plan_of(world, halted.run_id, accepted_halt="known")
    assert world.store.decide(again.run_id, HALT).state is RunState.CORRECTING


def test_a_plan_leaves_out_whom_the_other_run_has_settled(world: World) -> None:
    candidates = [differing(number) for number in range(1, 5)]
    source_id = correcting(world, *candidates)
    lease, _ = leased(world, source_id)
    world.store.close_correction(
        lease,
        [
            result(candidates[0], Outcome.TRANSIENT),
            result(candidates[1], Outcome.FAILED, error="no", error_code="panicked"),
        ],
        1,
    )
    source = world.store.end_run(source_id, RunState.CANCELLED)
    assert counts(source) == {"transient": 1, "failed": 1, "would_correct": 2}
    run = plan_of(world, source_id)
    assert counts(run) == {"in_sync": 2, "would_correct": 2}
    assert run.surplus == 6


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.FAILED, RunState.SCANNING])
def test_a_run_without_a_plan_cannot_be_carried_out(world: World, state: RunState) -> None:
    run_id = started(world, users=1)
    if state is RunState.FINISHED:
        scan(world, run_id)
    elif state is RunState.FAILED:
        scan(world, run_id, differing(1))
        world.store.end_run(run_id, RunState.FAILED, fault())
    assert world.store.get_run(run_id).state is state
    with pytest.raises(RunNotApplicable):
        plan_of(world, run_id, dry_run=True)


def test_a_plan_that_is_not_there_cannot_be_carried_out(world: World) -> None:
    with pytest.raises(RunNotFound):
        plan_of(world, uuid4())


# -- reading ----------------------------------------------------------------------------------


def test_runs_are_listed_the_newest_first(world: World) -> None:
    runs: list[UUID] = []
    for _ in range(3):
        runs.insert(0, world.store.start_run(planned(dry_run=True)).run_id)
        world.pass_time(1)
    listed = world.store.list_runs()
    assert [run.run_id for run in listed] == runs
    assert listed == [world.store.get_run(run_id) for run_id in runs]
    assert [run.run_id for run in world.store.list_runs(limit=2)] == runs[:2]
    assert [run.run_id for run in world.store.list_runs(before=runs[0])] == runs[1:]
    assert world.store.list_runs(before=runs[2]) == []


def test_the_active_run_is_the_one_that_writes(world: World) -> None:
    assert world.store.active_run() is None
    started(world, users=1, dry_run=True)
    assert world.store.active_run() is None
    run_id = world.store.start_run(planned()).run_id
    for _ in range(2):
        assert world.store.active_run() == world.store.get_run(run_id)
        world.store.plan_chunks(run_id, chunk_users=5, chunks_max=None)
    scan(world, run_id, differing(1))
    assert world.store.active_run() == world.store.get_run(run_id)
    world.store.end_run(run_id, RunState.FAILED)
    assert world.store.active_run() is None


def test_the_covering_run_is_the_finished_one_that_covers_most(world: World) -> None:
    def finished(**changes: Any) -> UUID:
        run_id = started(world, **changes)
        scan(world, run_id)
        world.pass_time(1)
        return run_id

    world.put(user(1))
    assert world.store.covering_run() is None
    finished(covered_height=30, dry_run=True)
    finished(covered_height=None)
    world.store.end_run(started(world, covered_height=40), RunState.CANCELLED)
    assert world.store.covering_run() is None
    first = finished(covered_height=20)
    assert world.store.covering_run() == world.store.get_run(first)
    finished(covered_height=19)
    assert world.store.covering_run() == world.store.get_run(first)
    later = finished(covered_height=20)
    assert world.store.covering_run() == world.store.get_run(later)


def test_results_come_by_key_page_by_page(world: World) -> None:
    run_id = started(world, users=1)
    numbers_found = [4, 2, 5, 1, 3]
    scan(world, run_id, *map(differing, numbers_found), failures=2)
    keys = [*map(user, range(1, 6)), user(900), user(901)]

    def page(after: str | None, limit: int, *outcomes: Outcome) -> list[str]:
        results = world.store.list_results(
            run_id, after=after, limit=limit, outcomes=outcomes or None
        )
        return [each.user_address for each in results]

    assert page(None, 1000) == keys
    assert page(None, 3) == keys[:3]
    assert page(keys[2], 3) == keys[3:6]
    assert page(keys[-1], 3) == []
    assert page(None, 9, Outcome.FAILED) == keys[5:]
    assert page(keys[5], 9, Outcome.FAILED, Outcome.WOULD_CORRECT) == keys[6:]
    assert page(None, 9, Outcome.TRANSIENT) == []


def test_results_are_counted(world: World) -> None:
    run_id = started(world, users=1)
    assert world.store.count_results(run_id) == 0
    scan(world, run_id, differing(1), differing(2), failures=1)
    assert world.store.count_results(run_id) == 3
    assert world.store.count_results(run_id, [Outcome.FAILED]) == 1
    assert world.store.count_results(run_id, [Outcome.FAILED, Outcome.WOULD_CORRECT]) == 3
    assert world.store.count_results(run_id, [Outcome.CORRECTED]) == 0


def test_the_results_of_runs_are_apart(world: World) -> None:
    first = started(world, users=1, dry_run=True)
    second = started(world, dry_run=True)
    scan(world, first, differing(1))
    assert scan(world, second, differing(1, 9)).state is RunState.FINISHED
    [result_of_first] = world.store.list_results(first, after=None, limit=9)
    assert result_of_first.new_balance == 8
    assert leased(world, first) == ()
    assert world.store.lease_chunks(second, lease_s=LEASE_S, attempts_max=ATTEMPTS_MAX) == Leased(
        state=RunState.FINISHED
    )
