"""Rolling back: pages, errors of single rows, stops and repetitions."""

from uuid import UUID, uuid4

import pytest

from shared.core.errors import (
    InvalidAddress,
    InvalidAdmin,
    InvalidInput,
    InvalidReason,
    LedgerConstraintViolation,
    LedgerLockTimeout,
    LedgerUnreachable,
    RunNotApplicable,
    RunNotFound,
)
from shared.core.outcome import Outcome
from shared.core.rollback import (
    REFUSED_LISTED_MAX,
    Rollback,
    RollbackOutcome,
    RunRollback,
)
from shared.services.retry import Backoff
from shared.services.rollback import Rollbacker
from tests.fakes.fake_holds import FakeHolds
from tests.fakes.fake_rollbacks import FakeRollbacks
from tests.unit.users import user
from tests.unit.worlds import World

A = user(1)
R = RollbackOutcome
DOWN = LedgerUnreachable("down", remedy="Wait.")


class Scene:
    """A run that has corrected `users` from 10 to 100 and their number."""

    def __init__(self, users: int = 1, *, page: int = 10_000) -> None:
        numbers = range(1, users + 1)
        self.world = World({user(n): 10 for n in numbers}, {user(n): 100 + n for n in numbers})
        self.run_id = self.world.sweep().summary.run_id
        self.rollbacks = FakeRollbacks(self.world.ledger, self.world.store, self.world.clock)
        backoff = Backoff(attempts_max=2)
        self.rollbacker = Rollbacker(
            self.rollbacks, self.world.clock, backoff, page_corrections=page
        )

    def undo(self, **changes: object) -> RunRollback:
        return self.rollbacker.run(self.run_id, "alice", "wrong", **changes)  # type: ignore[arg-type]

    @property
    def balances(self) -> set[object]:
        return set(self.world.ledger.balances().values())


def counts(done: RunRollback) -> dict[str, int]:
    return {str(outcome): number for outcome, number in done.outcomes.items() if number}


# -- one correction ---------------------------------------------------------------------------


def test_a_correction_is_taken_back_and_told_exactly() -> None:
    scene = Scene()
    would = scene.rollbacker.audit("1", "alice", "wrong", dry_run=True)
    assert (would.outcome, would.amount, scene.balances) == (R.WOULD_ROLL_BACK, -91, {101})
    done = scene.rollbacker.audit(" 1 ", "alice", " wrong ")
    assert done.as_json() == {
        "auditId": "1",
        "outcome": "rolled_back",
        "userAddress": A,
        "oldBalance": "0.00000101",
        "newBalance": "0.00000010",
        "amount": "-0.00000091",
        "rollbackAuditId": "2",
        "error": None,
        "errorCode": None,
    }
    assert scene.world.ledger.audit[1].reason == "wrong"


def test_a_lost_answer_is_told_as_rolled_back_already() -> None:
    scene = Scene()
    scene.rollbacks.lose_next_answer(DOWN)
    assert scene.rollbacker.audit("1", "alice", "wrong").outcome is R.ALREADY_ROLLED_BACK
    assert len(scene.world.ledger.audit) == 2


def test_what_is_refused_says_why() -> None:
    done = Scene().rollbacker.audit("17", "alice", "wrong")
    assert (done.outcome, done.code) == (R.REFUSED, "audit_not_found")
    assert "no such audit row" in (done.error or "")
    unknown = Rollback(audit_id="1", outcome=R.REFUSED, code="something_new")
    assert unknown.error == "The ledger refused it (something_new)."


def test_what_cannot_be_is_refused_before_anybody_is_asked() -> None:
    scene = Scene()
    with pytest.raises(InvalidAdmin):
        scene.rollbacker.audit("1", " ", "wrong")
    with pytest.raises(InvalidReason):
        scene.rollbacker.run(scene.run_id, "alice", " ")
    with pytest.raises(InvalidAddress):
        scene.undo(after="a\0b")
    for audit_id in ("", " ", "a\0b", "1" * 201):
        with pytest.raises(InvalidInput):
            scene.rollbacker.audit(audit_id, "alice", "wrong")
    assert scene.rollbacks.calls == []


# -- a run ------------------------------------------------------------------------------------


def test_a_run_is_taken_back_page_by_page_and_watched() -> None:
    scene = Scene(5, page=2)
    seen: list[int] = []
    done = scene.undo(progress=lambda so_far: seen.append(so_far.corrections))
    assert (counts(done), done.complete, done.through) == ({"rolled_back": 5}, True, None)
    assert done.amount == -sum(90 + n for n in range(1, 6))
    assert seen == [2, 4, 5]
    assert scene.balances == {10}


def test_a_sweep_after_a_rollback_reports_held_and_corrects_nobody() -> None:
    scene = Scene(3)
    scene.undo()
    run = scene.world.sweep().summary
    assert (run.count(Outcome.HELD), run.count(Outcome.CORRECTED)) == (3, 0)
    holds = FakeHolds(scene.world.ledger, scene.world.clock)
    holds.release(A, "alice")
    run = scene.world.sweep().summary
    assert (run.count(Outcome.HELD), run.count(Outcome.CORRECTED)) == (2, 1)


def test_a_dry_run_writes_nothing() -> None:
    scene = Scene(3)
    done = scene.undo(dry_run=True)
    assert (counts(done), done.complete) == ({"would_roll_back": 3}, True)
    assert (len(scene.world.ledger.audit), scene.world.ledger.holds) == (3, [])


def test_a_stop_leaves_the_rest_for_the_next_call() -> None:
    scene = Scene(5, page=2)
    first = scene.undo(should_stop=lambda: True)
    assert (counts(first), first.complete) == ({"rolled_back": 2}, False)
    assert first.through == user(2)
    on = scene.undo(after=first.through)
    assert (counts(on), on.complete) == ({"rolled_back": 3}, True)
    again = scene.undo()
    assert (counts(again), again.amount) == ({"already_rolled_back": 5}, 0)


def test_a_row_that_the_app_refuses_costs_no_other() -> None:
    scene = Scene(9, page=8)
    scene.world.ledger.constraint = lambda key, balance: key != user(4)
    done = scene.undo()
    assert counts(done) == {"rolled_back": 8, "refused": 1}
    assert done.refused_codes == {"ledger_constraint_violation": 1}
    [refused] = done.refused
    assert (refused.user_address, refused.old_balance) == (user(4), 104)
    assert done.complete


def test_a_row_that_stays_locked_costs_no_other() -> None:
    scene = Scene(5, page=4)
    locked = LedgerLockTimeout("locked", remedy="Wait.")
    scene.rollbacks.fail_when(lambda method, keys: locked if user(2) in keys else None)
    with pytest.raises(LedgerLockTimeout):  # a dry run locks nothing: here even that fails
        scene.undo()
    waited = len(scene.world.clock.sleeps)
    scene.rollbacks.fail_when(
        lambda method, keys: locked if user(2) in keys and waited_enough(scene, waited) else None
    )
    done = scene.undo()
    assert counts(done) == {"already_rolled_back": 1, "rolled_back": 4}


def waited_enough(scene: Scene, waited: int) -> bool:
    """A lock that is let go while a single row is waited for."""
    return len(scene.world.clock.sleeps) == waited


def test_a_stop_ends_the_search_for_a_row_that_is_in_the_way() -> None:
    scene = Scene(5, page=4)
    error = LedgerConstraintViolation("no", remedy="Look.")
    scene.rollbacks.fail_next(error, times=9)
    with pytest.raises(LedgerConstraintViolation):
        scene.undo(should_stop=lambda: True)
    assert len(scene.rollbacks.calls) == 1


def test_an_outage_is_raised_and_what_was_done_stays() -> None:
    scene = Scene(4, page=2)
    scene.rollbacks.fail_when(lambda method, keys: DOWN if user(3) in keys else None)
    with pytest.raises(LedgerUnreachable):
        scene.undo()
    scene.rollbacks.fail_when(lambda method, keys: None)
    assert counts(scene.undo()) == {"already_rolled_back": 2, "rolled_back": 2}


def test_a_run_that_is_not_there_or_goes_on_is_refused() -> None:
    scene = Scene()
    with pytest.raises(RunNotFound):
        scene.rollbacker.run(uuid4(), "alice", "wrong")
    row = scene.world.store._runs[scene.run_id]
    scene.world.store._change(scene.run_id, state="correcting")
    with pytest.raises(RunNotApplicable):
        scene.undo()
    assert row.run.run_id == scene.run_id


# -- counts -----------------------------------------------------------------------------------


def test_all_refusals_are_counted_and_the_first_are_listed() -> None:
    done = RunRollback(run_id=UUID(int=1), dry_run=False)
    refused = Rollback(audit_id="1", outcome=R.REFUSED, code="changed_meanwhile")
    done.take([refused] * (REFUSED_LISTED_MAX + 5))
    assert done.refused_codes == {"changed_meanwhile": REFUSED_LISTED_MAX + 5}
    assert len(done.refused) == REFUSED_LISTED_MAX
    body = done.as_json()
    assert body["corrections"] == sum(body["outcomes"].values()) == REFUSED_LISTED_MAX + 5
    assert body["complete"] is False
