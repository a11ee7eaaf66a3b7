"""Runs that are started and followed by requests, each of which works for a while."""

from dataclasses import replace
from uuid import uuid4

import pytest

from shared.core.errors import InvalidInput, RunActive, RunNotApplicable
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import Run, RunKind, RunState
from shared.services.plan_run import RunRequest
from shared.services.run_actions import objection
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_queue import FakeQueue
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

ALICE = RunRequest(admin_address="alice")
DRY = replace(ALICE, dry_run=True)


def world_of(
    users: int = 8, *, drifted: int = 2, policy: Policy | None = None, queued: bool = False
) -> World:
    clock = FakeClock()
    return World(
        {user(number): 10 for number in range(users)},
        {user(number): 10 + (number < drifted) for number in range(users)},
        policy or replace(CAREFREE, batch_size=3),
        queue=FakeQueue(clock) if queued else None,
        clock=clock,
    )


def worked(world: World, run: Run) -> Run:
    return world.run_actions.go_on(run.run_id, lambda: False)


def previewed(world: World) -> Run:
    return worked(world, world.run_actions.start(DRY, incremental=False))


def test_starting_looks_at_nobody_yet() -> None:
    world = world_of()
    run = world.run_actions.start(ALICE, incremental=False)
    assert (run.state, run.users) == (RunState.SCANNING, 0)
    assert not world.contract.calls


def test_a_dry_run_is_previewed_and_exactly_that_is_applied() -> None:
    world = world_of()
    found = previewed(world)
    assert (found.state, found.count(Outcome.WOULD_CORRECT)) == (RunState.FINISHED, 2)
    assert not world.ledger.audit
    world.ledger.put(user(5), 99)  # after the preview: no part of it
    applied = worked(world, world.run_actions.apply(found.run_id, ALICE))
    assert (applied.kind, applied.state) == (RunKind.PLAN, RunState.FINISHED)
    assert applied.count(Outcome.CORRECTED) == 2
    assert world.balance(user(5)) == 99
    assert {row.transaction_hash for row in world.ledger.audit} == {"reconciliation_by_alice"}


def test_who_moved_since_the_preview_is_left_and_shown() -> None:
    world = world_of()
    found = previewed(world)
    world.ledger.put(user(0), 7)
    applied = worked(world, world.run_actions.apply(found.run_id, ALICE))
    assert applied.outcomes[Outcome.CHANGED_MEANWHILE] == 1
    assert applied.outcomes[Outcome.CORRECTED] == 1
    assert world.balance(user(0)) == 7


def test_a_request_that_has_to_stop_leaves_the_rest_to_the_next() -> None:
    world = world_of(30)
    run = world.run_actions.start(DRY, incremental=False)
    first = world.run_actions.go_on(run.run_id, lambda: len(world.contract.calls) >= 2)
    assert (first.state, first.is_active) == (RunState.SCANNING, True)
    second = worked(world, first)
    assert (second.state, second.users) == (RunState.FINISHED, 30)


def test_with_a_queue_the_chunks_are_put_into_it() -> None:
    world = world_of(queued=True)
    run = world.run_actions.start(DRY, incremental=False)
    assert worked(world, run).state is RunState.SCANNING
    assert isinstance(world.queue, FakeQueue)
    assert len(world.queue) == 3
    assert (world.run_actions.works_in_line, world_of().run_actions.works_in_line) == (False, True)


def test_one_run_that_writes_at_a_time() -> None:
    world = world_of()
    world.run_actions.start(ALICE, incremental=False)
    with pytest.raises(RunActive):
        world.run_actions.start(ALICE, incremental=False)
    assert world.run_actions.start(DRY, incremental=False).dry_run


def test_a_form_that_is_sent_twice_starts_one_run() -> None:
    for incremental in (False, True):
        world = world_of()
        if incremental:
            worked(world, world.run_actions.start(ALICE, incremental=False))
            world.contract.set(user(3), 99)
        asked = replace(ALICE, run_id=uuid4())
        first = world.run_actions.start(asked, incremental=incremental)
        for number in range(8):  # whom events name meanwhile is the next run's
            world.contract.set(user(number), 98)
        again = world.run_actions.start(asked, incremental=incremental)
        assert (first.run_id, again.run_id) == (asked.run_id, asked.run_id)
        assert first.scan == again.scan

    world = world_of()
    found = previewed(world)
    asked = replace(ALICE, run_id=uuid4())
    done = worked(world, world.run_actions.apply(found.run_id, asked))
    again = world.run_actions.apply(found.run_id, asked)
    assert (again.run_id, again.state) == (done.run_id, RunState.FINISHED)
    assert len(world.ledger.audit) == 2


def test_a_run_that_waits_to_be_allowed_is_approved_or_declined() -> None:
    world = world_of()
    asking = replace(ALICE, needs_approval=True)
    waiting = worked(world, world.run_actions.start(asking, incremental=False))
    assert waiting.state is RunState.AWAITING_APPROVAL
    declined = world.run_actions.decline(waiting.run_id)
    assert declined.state is RunState.DECLINED
    assert not world.ledger.audit

    waiting = worked(world, world.run_actions.start(asking, incremental=False))
    done = worked(world, world.run_actions.approve(waiting.run_id))
    assert (done.state, done.count(Outcome.CORRECTED)) == (RunState.FINISHED, 2)
    with pytest.raises(RunNotApplicable):
        world.run_actions.approve(waiting.run_id)


def test_a_cancelled_run_stays_as_it_is() -> None:
    world = world_of()
    run = world.run_actions.start(ALICE, incremental=False)
    assert world.run_actions.cancel(run.run_id).state is RunState.CANCELLED
    assert worked(world, run).state is RunState.CANCELLED


def test_what_the_safety_stop_objects_to_needs_a_reason() -> None:
    careful = Policy(settle_s=0, batch_size=3, halt_min_users=5)
    world = world_of(drifted=8, policy=careful)
    found = previewed(world)
    assert found.halt is None
    halt = objection(found)
    assert halt is not None
    assert halt.reason == "most_differ"
    for reason in (None, "", "  "):
        with pytest.raises(InvalidInput, match="the safety stop objects: 8 of 8 users differ"):
            world.run_actions.apply(found.run_id, replace(ALICE, accept_halt=reason))
    assert not world.ledger.audit

    accepted = replace(ALICE, accept_halt="a replay hit everyone")
    done = worked(world, world.run_actions.apply(found.run_id, accepted))
    assert (done.state, done.count(Outcome.CORRECTED)) == (RunState.FINISHED, 8)
    assert done.accepted_halt == "a replay hit everyone"
