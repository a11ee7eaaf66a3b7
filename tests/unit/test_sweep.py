"""All users: what becomes of the ledger, the audit log, the results and the counts."""

from dataclasses import replace

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
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.sweep_result import SweepResult
from shared.services.sweep import SweepHooks
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
    assert sweep.summary.outcomes == {Outcome.IN_SYNC: 1, Outcome.CORRECTED: 1}


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
    assert sweep.summary.outcomes == {Outcome.IN_SYNC: 30, Outcome.CORRECTED: 20}
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


@pytest.mark.parametrize("method", ["count_users", "list_balances"])
def test_an_error_of_the_ledger_is_an_error_and_never_an_empty_list(method: str) -> None:
    world = drifted(3, of=9)
    world.ledger.fail_next(LedgerUnauthorized("no", remedy="Set the key."), method=method)
    with pytest.raises(LedgerUnauthorized):
        world.sweep()
    assert world.ledger.audit == []


@pytest.mark.parametrize(
    "method", ["count_users", "list_balances", "get_balances", "correct_users"]
)
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
    assert_untouched(world, before)


def test_the_caller_is_not_asked_when_nothing_differs() -> None:
    asked: list[int] = []

    def may_write(_scan: object) -> bool:
        asked.append(1)
        return True

    drifted(0, of=9).sweep(hooks=SweepHooks(may_write=may_write))
    assert asked == []


def test_a_stop_in_the_scan_writes_nothing() -> None:
    world = drifted(9, of=9, policy=replace(CAREFREE, batch_size=3))
    before = world.ledger.balances()
    sweep = world.sweep(hooks=SweepHooks(should_stop=lambda: True))
    assert (sweep.summary.interrupted, sweep.summary.complete) == (True, False)
    assert sweep.summary.users == 3
    assert_untouched(world, before)
    assert_adds_up(sweep)


def test_a_stop_in_the_settle_window_fails_the_candidates_and_writes_nothing() -> None:
    world = drifted(2, of=9, policy=Policy(settle_s=30))
    before = world.ledger.balances()
    stopping = SweepHooks(should_stop=lambda: bool(world.clock.sleeps))
    sweep = world.sweep(hooks=stopping)
    assert [each.error_code for each in sweep] == ["sweep_interrupted"] * 2
    assert_untouched(world, before)
    assert_adds_up(sweep)


def test_a_stop_after_the_scan_is_an_interrupted_run() -> None:
    world = drifted(2, of=9, policy=Policy(settle_s=30))
    sweep = world.sweep(hooks=SweepHooks(should_stop=lambda: bool(world.clock.sleeps)))
    assert sweep.summary.interrupted
    assert not sweep.summary.complete


def test_the_runs_times_and_heights_are_in_the_summary() -> None:
    world = drifted(1, of=9, policy=Policy(settle_s=30))
    summary = world.sweep().summary
    assert summary.duration_s == pytest.approx(30)
    assert (summary.first_height, summary.last_height) == (100, 100)
    assert summary.run_id == str(world.ledger.audit[0].run_id)


def test_a_second_sweep_finds_nothing() -> None:
    world = drifted(3, of=9)
    world.sweep()
    assert world.sweep().summary.outcomes == {Outcome.IN_SYNC: 9}
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
