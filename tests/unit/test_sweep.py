"""All users: what becomes of the ledger, the audit log, the results and the counts."""

from dataclasses import replace
from uuid import UUID

import pytest

from shared import api
from shared.core.amount import UFIX64_MAX, FlowAmount
from shared.core.errors import (
    ContractNotDeployed,
    ContractUnreachable,
    InvalidAdmin,
    LedgerUnauthorized,
    LedgerUnreachable,
    ReconcileError,
    RunActive,
    RunNotApplicable,
    RunNotFound,
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import Run, RunKind, RunState
from shared.core.sweep_result import SweepResult
from shared.services.plan_run import RunRequest
from shared.services.sweep import SweepHooks
from tests.counts import counts
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

A, B, C = user(1), user(2), user(3)


def drifted(count: int, of: int, policy: Policy = CAREFREE) -> World:
    """`of` users with 10 in the ledger; the first `count` of them hold 11 on chain."""
    ledger: dict[str, int] = {user(n): 10 for n in range(of)}
    return World(ledger, {key: 10 + (n < count) for n, key in enumerate(ledger)}, policy)


def assert_untouched(world: World, before: dict[str, FlowAmount | str | None]) -> None:
    assert world.ledger.balances() == before
    assert world.ledger.audit == []
    assert not {"correct_user", "correct_users"} & {method for method, _ in world.ledger.calls}


def assert_adds_up(sweep: SweepResult) -> None:
    assert sum(sweep.summary.outcomes.values()) == sweep.summary.users


@pytest.mark.parametrize(("ledger", "contract"), [(10, 15), (15, 10), (10, 0), (0, 10)])
def test_a_contract_balance_higher_lower_or_zero_is_taken_over(ledger: int, contract: int) -> None:
    world = World({A: ledger, B: 5}, {A: contract, B: 5})
    sweep = world.sweep()
    (result,) = sweep
    assert (result.outcome, result.discrepancy) == (Outcome.CORRECTED, contract - ledger)
    assert world.balance(A) == contract
    assert [(row.user_address, row.amount) for row in world.ledger.audit] == [
        (A, contract - ledger)
    ]
    assert counts(sweep.summary) == {Outcome.IN_SYNC: 1, Outcome.CORRECTED: 1}


@pytest.mark.parametrize("units", [1, UFIX64_MAX])
def test_both_ends_are_exact(units: int) -> None:
    world = World({A: 0}, {A: units})
    assert world.sweep().summary.surplus == units
    world.contract.set(A, 0)
    assert world.sweep().summary.deficit == -units
    assert world.balance(A) == 0


def test_all_users_with_discrepancies_are_corrected_in_key_order() -> None:
    world = drifted(20, of=50, policy=replace(CAREFREE, batch_size=7))
    sweep = world.sweep()
    assert [result.user_address for result in sweep] == [user(n) for n in range(20)]
    assert counts(sweep.summary) == {Outcome.IN_SYNC: 30, Outcome.CORRECTED: 20}
    assert (sweep.summary.surplus, sweep.summary.deficit, sweep.summary.complete) == (20, 0, True)
    assert all(world.balance(user(n)) == 11 for n in range(20))
    assert len(world.ledger.audit) == 20
    assert_adds_up(sweep)


def test_users_the_ledger_does_not_hold_are_no_part_of_a_sweep() -> None:
    world = World({A: 1}, {A: 1, B: 5})
    assert world.sweep().summary.users == 1
    assert set(world.ledger.rows) == {A}


def test_a_dry_run_changes_neither_balances_nor_audit_log() -> None:
    world = drifted(3, of=9)
    before = world.ledger.balances()
    sweep = world.sweep(dry_run=True)
    assert [result.outcome for result in sweep] == [Outcome.WOULD_CORRECT] * 3
    assert sweep.summary.unresolved == 3
    assert world.clock.sleeps == []
    assert_untouched(world, before)
    assert_adds_up(sweep)


def test_a_dry_run_and_an_apply_find_the_same() -> None:
    world = drifted(3, of=9)
    previewed = [(each.user_address, each.discrepancy) for each in world.sweep(dry_run=True)]
    assert [(each.user_address, each.discrepancy) for each in world.sweep()] == previewed


def test_an_empty_ledger_is_a_complete_run_of_nobody() -> None:
    sweep = World().sweep()
    assert (len(sweep), sweep.summary.users, sweep.summary.complete) == (0, 0, True)


def test_an_error_of_the_ledger_is_an_error_and_never_an_empty_list() -> None:
    world = drifted(3, of=9)
    world.ledger.fail_next(LedgerUnauthorized("no", remedy="Set the key."), method="list_balances")
    with pytest.raises(LedgerUnauthorized):
        world.sweep()
    assert world.ledger.audit == []
    (run,) = world.runs.list()
    assert (run.state, run.error_code) == (RunState.FAILED, "ledger_unauthorized")


@pytest.mark.parametrize("method", ["list_balances", "get_balances", "correct_users"])
def test_a_passing_error_of_the_ledger_is_retried(method: str) -> None:
    world = drifted(3, of=9)
    world.ledger.fail_next(LedgerUnreachable("down", remedy="Wait."), method=method)
    assert world.sweep().summary.count(Outcome.CORRECTED) == 3


@pytest.mark.parametrize(
    "error",
    [
        ContractUnreachable("down", remedy="Wait."),
        ContractNotDeployed("gone", remedy="Check."),
    ],
)
def test_a_contract_that_cannot_be_asked_is_an_error_and_writes_nothing(
    error: ReconcileError,
) -> None:
    world = drifted(3, of=9)
    before = world.ledger.balances()
    world.contract.fail_when(lambda users: error)
    with pytest.raises(type(error)):
        world.sweep()
    assert_untouched(world, before)


def test_goes_on_after_one_users_error() -> None:
    world = drifted(5, of=9)
    world.contract.panic_for([user(2)])
    world.ledger.put("alice", 1)
    world.ledger.put(user(20), None)
    world.ledger.constraint = lambda key, balance: key != user(4)
    sweep = world.sweep()
    codes = {each.user_address: each.error_code for each in sweep if not each.success}
    assert codes == {
        user(2): "contract_query_failed",
        user(4): "ledger_constraint_violation",
        user(20): "invalid_ledger_balance",
        "alice": "invalid_address",
    }
    assert sweep.summary.count(Outcome.CORRECTED) == 3
    assert world.balance(user(2)) == 10
    assert_adds_up(sweep)


def test_an_error_of_the_procedure_for_one_user_fails_that_user_alone() -> None:
    world = drifted(3, of=9)

    def spoil(method: str) -> None:
        if method == "correct_users":
            world.ledger.put(user(0), "NaN")

    world.ledger.before_call = spoil
    sweep = world.sweep()
    assert (sweep[0].outcome, sweep[0].error_code) == (Outcome.FAILED, "invalid_ledger_balance")
    assert sweep.summary.count(Outcome.CORRECTED) == 2


@pytest.mark.parametrize(("contract", "corrected"), [(109, 0), (91, 0), (110, 1), (90, 1)])
def test_tolerates_a_difference_below_the_tolerance(contract: int, corrected: int) -> None:
    world = World({A: 100}, {A: contract}, replace(CAREFREE, tolerance=FlowAmount(10)))
    assert world.sweep().summary.count(Outcome.CORRECTED) == corrected
    assert world.balance(A) == (contract if corrected else 100)


def test_a_wrong_contract_address_does_not_zero_the_ledger() -> None:
    world = World({user(n): 10 for n in range(5)}, policy=Policy(settle_s=0))
    before = world.ledger.balances()
    sweep = world.sweep()
    assert sweep.summary.halt is not None
    assert (sweep.summary.halt.reason, sweep.summary.complete) == ("all_read_zero", False)
    assert [each.outcome for each in sweep] == [Outcome.WOULD_CORRECT] * 5
    assert_untouched(world, before)
    assert_adds_up(sweep)


def test_a_run_that_differs_too_much_is_halted_unless_that_is_allowed() -> None:
    world = drifted(60, of=100, policy=Policy(settle_s=0))
    sweep = world.sweep()
    assert sweep.summary.halt is not None
    assert sweep.summary.halt.reason == "most_differ"
    assert world.ledger.audit == []
    assert drifted(60, of=100).sweep().summary.count(Outcome.CORRECTED) == 60


def test_a_dry_run_is_not_halted() -> None:
    assert drifted(60, of=100, policy=Policy()).sweep(dry_run=True).summary.halt is None


def test_waits_until_a_difference_has_lasted() -> None:
    world = drifted(1, of=9, policy=Policy(settle_s=30))
    phases: list[str] = []
    world.sweep(hooks=SweepHooks(progress=lambda phase, done, total: phases.append(phase)))
    assert sum(world.clock.sleeps) == pytest.approx(30)
    assert list(dict.fromkeys(phases)) == ["scan", "settle", "correct"]


def test_nothing_to_correct_is_nothing_to_wait_for() -> None:
    world = drifted(0, of=9, policy=Policy(settle_s=30))
    world.sweep()
    assert world.clock.sleeps == []


def test_a_late_event_that_arrives_in_the_settle_window_makes_it_transient() -> None:
    world = drifted(1, of=9, policy=Policy(settle_s=30))

    def settle(phase: str, _done: int, _total: int | None) -> None:
        if phase == "settle":
            world.ledger.put(user(0), 11)

    sweep = world.sweep(hooks=SweepHooks(progress=settle))
    assert [each.outcome for each in sweep] == [Outcome.TRANSIENT]
    assert world.ledger.audit == []


def test_an_event_that_a_correction_contains_is_not_added_again() -> None:
    world = World({A: 10, B: 1}, {A: 10, B: 1})
    height = world.contract.set(A, 15)
    world.sweep()
    assert world.ledger.apply_event(A, 5, height, "deposit").reason == "already_reconciled"
    assert world.balance(A) == 15


def test_the_caller_may_decline_after_the_scan() -> None:
    world = drifted(3, of=9)
    before = world.ledger.balances()
    sweep = world.sweep(hooks=SweepHooks(may_write=lambda scan: False))
    assert [each.outcome for each in sweep] == [Outcome.WOULD_CORRECT] * 3
    assert (sweep.summary.state, sweep.summary.complete) == (RunState.DECLINED, False)
    assert_untouched(world, before)


def test_the_caller_may_allow_what_it_is_shown() -> None:
    world = drifted(3, of=9)
    shown: list[Run] = []

    def may_write(run: Run) -> bool:
        shown.append(run)
        return True

    sweep = world.sweep(hooks=SweepHooks(may_write=may_write))
    assert [(run.candidates, run.surplus) for run in shown] == [(3, 3)]
    assert sweep.summary.count(Outcome.CORRECTED) == 3


def test_the_caller_is_not_asked_when_nothing_differs() -> None:
    asked: list[int] = []

    def may_write(_scan: object) -> bool:
        asked.append(1)
        return True

    drifted(0, of=9).sweep(hooks=SweepHooks(may_write=may_write))
    assert asked == []


def test_a_stop_in_the_scan_cancels_the_run_and_writes_nothing() -> None:
    world = drifted(9, of=9, policy=replace(CAREFREE, batch_size=3))
    before = world.ledger.balances()
    stop = iter([False, True])
    sweep = world.sweep(hooks=SweepHooks(should_stop=lambda: next(stop, True)))
    assert (sweep.summary.state, sweep.summary.complete) == (RunState.CANCELLED, False)
    assert sweep.summary.users == 3
    assert_untouched(world, before)
    assert_adds_up(sweep)


def test_a_stop_in_the_settle_window_leaves_the_run_to_be_resumed() -> None:
    world = drifted(2, of=9, policy=Policy(settle_s=30))
    before = world.ledger.balances()
    stopping = SweepHooks(should_stop=lambda: bool(world.clock.sleeps))
    sweep = world.sweep(hooks=stopping)
    assert (sweep.summary.state, sweep.summary.complete) == (RunState.CORRECTING, False)
    assert [each.outcome for each in sweep] == [Outcome.WOULD_CORRECT] * 2
    assert_untouched(world, before)
    assert_adds_up(sweep)
    resumed = world.sweeper.resume()
    assert resumed.summary.run_id == sweep.summary.run_id
    assert counts(resumed.summary) == {Outcome.IN_SYNC: 7, Outcome.CORRECTED: 2}


def test_one_run_that_writes_at_a_time() -> None:
    world = drifted(2, of=9, policy=Policy(settle_s=30))
    stopped = world.sweep(hooks=SweepHooks(should_stop=lambda: bool(world.clock.sleeps)))
    with pytest.raises(RunActive):
        world.sweep()
    assert world.sweep(dry_run=True).summary.complete
    world.runs.cancel(stopped.summary.run_id)
    assert world.sweep().summary.count(Outcome.CORRECTED) == 2


def interrupted(world: World) -> Run:
    """A run that writes, left while it scans by a process that is gone."""
    plan = RunRequest(admin_address="ADMIN")
    run = world.planner.full(plan)
    assert run.state is RunState.SCANNING
    return run


def test_a_resumed_run_is_left_as_it_is_by_a_stop_and_by_an_error() -> None:
    world = drifted(2, of=9, policy=replace(CAREFREE, batch_size=3))
    run = interrupted(world)
    stop = iter([False, True])
    stopped = world.sweeper.resume(hooks=SweepHooks(should_stop=lambda: next(stop, True)))
    assert (stopped.summary.run_id, stopped.summary.state) == (run.run_id, RunState.SCANNING)
    world.contract.fail_next(ContractNotDeployed("gone", remedy="Check."))
    with pytest.raises(ContractNotDeployed):
        world.sweeper.resume()
    assert world.runs.show(run.run_id).summary.state is RunState.SCANNING
    assert counts(world.sweeper.resume().summary) == {Outcome.IN_SYNC: 7, Outcome.CORRECTED: 2}


def test_nothing_to_resume_is_an_error() -> None:
    with pytest.raises(RunNotFound):
        World().sweeper.resume()


def test_a_run_whose_planner_died_is_planned_to_its_end_and_worked() -> None:
    world = drifted(2, of=9)
    world.store.fail_next(LedgerUnauthorized("dies", remedy="-"), method="plan_chunks")
    with pytest.raises(LedgerUnauthorized):
        world.sweep()
    (dead,) = world.runs.list()
    assert dead.state is RunState.PLANNING
    resumed = world.sweeper.resume().summary
    assert (resumed.run_id, resumed.state) == (dead.run_id, RunState.FINISHED)
    assert counts(resumed) == {Outcome.IN_SYNC: 7, Outcome.CORRECTED: 2}


def test_a_side_that_goes_down_while_correcting_fails_the_run_and_keeps_what_was_done() -> None:
    world = drifted(30, of=33, policy=replace(CAREFREE, batch_size=3))
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if len(world.ledger.audit) >= 3 else None)
    sweep = world.sweep()
    assert (sweep.summary.state, sweep.summary.error_code) == (RunState.FAILED, down.code)
    assert sweep.summary.count(Outcome.CORRECTED) == len(world.ledger.audit) >= 3
    assert sweep.summary.count(Outcome.FAILED) == 3
    assert sweep.summary.unresolved > 0  # nothing was decided on the chunks after that
    assert_adds_up(sweep)


def test_what_a_chunk_corrected_before_the_ledger_went_down_is_reported_corrected() -> None:
    world = drifted(4, of=4)
    world.ledger.constraint = lambda key, balance: key != user(3)
    down = LedgerUnreachable("down", remedy="Wait.")
    world.ledger.fail_when(lambda method, keys: down if world.ledger.audit else None)
    sweep = world.sweep()
    outcomes = {each.user_address: each.outcome for each in sweep}
    assert outcomes == {
        user(0): Outcome.CORRECTED,
        user(1): Outcome.CORRECTED,
        user(2): Outcome.FAILED,
        user(3): Outcome.FAILED,
    }
    assert len(world.ledger.audit) == 2


def test_a_stored_plan_is_carried_out_only_where_the_row_has_not_moved() -> None:
    world = drifted(3, of=9)
    plan = world.sweep(dry_run=True).summary
    world.ledger.put(user(1), 12)
    world.ledger.put(user(8), 1)  # drifts afterwards: no part of the plan
    sweep = world.sweeper.apply(plan.run_id, "root")
    assert (sweep.summary.kind, sweep.summary.plan_run_id) == (RunKind.PLAN, plan.run_id)
    assert [each.outcome for each in sweep] == [
        Outcome.CORRECTED,
        Outcome.CHANGED_MEANWHILE,
        Outcome.CORRECTED,
    ]
    assert (world.balance(user(1)), world.balance(user(8))) == (12, 1)
    assert {row.transaction_hash for row in world.ledger.audit} == {"reconciliation_by_root"}
    assert_adds_up(sweep)


def test_a_plan_that_was_carried_out_has_nothing_left_to_apply() -> None:
    world = drifted(3, of=9)
    world.sweep()
    (run,) = world.runs.list()
    with pytest.raises(RunNotApplicable):
        world.sweeper.apply(run.run_id, "ADMIN")
    with pytest.raises(RunNotFound):
        world.sweeper.apply(UUID(int=0), "ADMIN")


def test_a_halted_run_goes_on_for_a_reason_that_is_recorded() -> None:
    world = drifted(60, of=100, policy=Policy(settle_s=0))
    halted = world.sweep().summary
    assert halted.state is RunState.HALTED
    assert world.sweeper.apply(halted.run_id, "ADMIN").summary.state is RunState.HALTED
    sweep = world.sweeper.apply(halted.run_id, "ADMIN", accept_halt="migration, ticket 7")
    assert (sweep.summary.accepted_halt, sweep.summary.state) == (
        "migration, ticket 7",
        RunState.FINISHED,
    )
    assert sweep.summary.count(Outcome.CORRECTED) == 60


def test_a_halt_can_be_accepted_beforehand() -> None:
    world = drifted(60, of=100, policy=Policy(settle_s=0))
    sweep = world.sweeper.sweep("ADMIN", dry_run=False, accept_halt="first import")
    assert sweep.summary.count(Outcome.CORRECTED) == 60
    assert sweep.summary.halt is not None
    assert sweep.summary.complete


def test_the_runs_times_and_heights_are_in_the_summary() -> None:
    world = drifted(1, of=9, policy=Policy(settle_s=30))
    summary = world.sweep().summary
    assert summary.duration_s == pytest.approx(30)
    assert (summary.first_height, summary.last_height) == (100, 100)
    assert summary.run_id == world.ledger.audit[0].run_id


def test_a_second_sweep_finds_nothing() -> None:
    world = drifted(3, of=9)
    world.sweep()
    assert counts(world.sweep().summary) == {Outcome.IN_SYNC: 9}
    assert len(world.ledger.audit) == 3


def test_a_bad_admin_is_refused_before_anything_is_read() -> None:
    world = drifted(3, of=9)
    with pytest.raises(InvalidAdmin):
        world.sweeper.sweep("", dry_run=True)
    assert world.ledger.calls == []


def test_the_default_admin_is_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    world = drifted(1, of=9)
    monkeypatch.setattr("shared.bootstrap.services", lambda: world)
    assert api.reconcile_all_users().summary.admin_address == "ADMIN"
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_ADMIN"


def test_the_default_is_to_write_and_a_dry_run_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = drifted(1, of=9)
    monkeypatch.setattr("shared.bootstrap.services", lambda: world)
    assert api.reconcile_all_users("root", dry_run=True).summary.dry_run
    assert world.ledger.audit == []
    assert not api.reconcile_all_users("root").summary.dry_run
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_root"
