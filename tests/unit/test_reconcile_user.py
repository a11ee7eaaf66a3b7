"""One user: what becomes of the ledger, the audit log and the answer."""

import pytest

from shared import api
from shared.core.amount import UFIX64_MAX, FlowAmount
from shared.core.errors import (
    ContractScriptFailed,
    ContractUnreachable,
    LedgerConstraintViolation,
    LedgerUnauthorized,
    LedgerUnreachable,
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_ledger import Row
from tests.unit.users import user
from tests.unit.worlds import World

A, B = user(1), user(2)


@pytest.mark.parametrize(("ledger", "contract"), [(10, 15), (15, 10)])
def test_a_contract_balance_higher_or_lower_is_taken_over(ledger: int, contract: int) -> None:
    world = World({A: ledger}, {A: contract})
    result = world.reconcile(A, "0xadmin")
    assert (result.success, result.outcome) == (True, Outcome.CORRECTED)
    assert (result.old_balance, result.new_balance) == (ledger, contract)
    assert result.discrepancy == contract - ledger
    assert result.block_height == FIRST_HEIGHT
    assert world.balance(A) == contract
    (row,) = world.ledger.audit
    assert (row.operation_type, row.amount) == ("reconciliation", contract - ledger)
    assert (row.balance_before, row.balance_after) == (ledger, contract)
    assert row.transaction_hash == "reconciliation_by_0xadmin"
    assert row.id == result.audit_id


def test_a_user_not_in_the_database_is_created() -> None:
    world = World({}, {A: 7})
    result = world.reconcile(A)
    assert (result.outcome, result.old_balance, result.new_balance) == (Outcome.CORRECTED, 0, 7)
    assert world.ledger.rows[A] == Row(FlowAmount(7), FIRST_HEIGHT)


def test_a_user_known_to_nobody_is_created_with_zero() -> None:
    world = World()
    assert world.reconcile(A).outcome is Outcome.IN_SYNC
    assert world.balance(A) == 0


def test_a_zero_contract_balance_is_a_balance() -> None:
    world = World({A: 10})
    result = world.reconcile(A)
    assert (result.outcome, result.new_balance, result.discrepancy) == (Outcome.CORRECTED, 0, -10)
    assert world.balance(A) == 0


def test_agreement_is_audited_all_the_same() -> None:
    world = World({A: 10}, {A: 10})
    result = world.reconcile(A)
    assert (result.outcome, result.discrepancy) == (Outcome.IN_SYNC, 0)
    assert [row.amount for row in world.ledger.audit] == [0]


@pytest.mark.parametrize("units", [1, UFIX64_MAX])
def test_both_ends_are_exact(units: int) -> None:
    world = World({A: 0}, {A: units})
    result = world.reconcile(A)
    assert (world.balance(A), result.discrepancy) == (units, units)
    world.contract.set(A, 0)
    assert world.reconcile(A).discrepancy == -units


def test_a_panicking_user_fails_and_is_never_set_to_zero() -> None:
    world = World({A: 10}, {A: 10})
    world.contract.panic_for([A])
    result = world.reconcile(A)
    assert (result.success, result.error_code) == (False, "contract_query_failed")
    assert (world.balance(A), world.ledger.audit) == (10, [])


def test_an_unreachable_contract_fails_after_retries() -> None:
    world = World({A: 10}, {A: 11})
    world.contract.fail_when(lambda users: ContractUnreachable("down", remedy="Wait."))
    assert world.reconcile(A).error_code == "contract_unreachable"
    assert (len(world.contract.calls), world.balance(A)) == (2, 10)


def test_a_script_that_fails_for_everybody_is_told_from_a_failing_user() -> None:
    world = World({A: 10})
    world.contract.fail_when(lambda users: ContractScriptFailed("boom", remedy="Ask."))
    assert world.reconcile(A).error_code == "contract_script_invalid"


@pytest.mark.parametrize("method", ["get_balances", "correct_user"])
def test_an_rpc_error_comes_back_in_the_result(method: str) -> None:
    world = World({A: 10}, {A: 11})
    world.ledger.fail_next(LedgerUnauthorized("no", remedy="Set the key."), method=method)
    result = world.reconcile(A)
    assert (result.success, result.error_code) == (False, "ledger_unauthorized")
    assert result.error == "no. Set the key."
    assert (world.balance(A), world.ledger.audit) == (10, [])


@pytest.mark.parametrize("method", ["get_balances", "correct_user"])
def test_a_passing_rpc_error_is_retried(method: str) -> None:
    world = World({A: 10}, {A: 11})
    world.ledger.fail_next(LedgerUnreachable("down", remedy="Wait."), method=method)
    assert world.reconcile(A).outcome is Outcome.CORRECTED


def test_a_write_whose_answer_was_lost_is_reported_and_not_repeated() -> None:
    world = World({A: 10}, {A: 11})
    lost = LedgerUnreachable("down", remedy="Wait.")
    world.ledger.lose_next_answer(lost, method="correct_user")
    result = world.reconcile(A)
    assert (result.outcome, result.old_balance, result.audit_id) == (Outcome.CORRECTED, 10, "1")
    assert len(world.ledger.audit) == 1


def test_an_error_of_the_procedure_comes_back_in_the_result() -> None:
    world = World({A: "NaN"}, {A: 11})
    result = world.reconcile(A)
    assert (result.success, result.error_code) == (False, "invalid_ledger_balance")
    assert (world.balance(A), world.ledger.audit) == ("NaN", [])


def test_a_constraint_of_the_app_comes_back_in_the_result() -> None:
    world = World({A: 10}, {A: 11})
    world.ledger.constraint = lambda key, balance: balance < 11
    assert world.reconcile(A).error_code == LedgerConstraintViolation.code
    assert (world.balance(A), world.ledger.audit) == (10, [])


def test_a_stored_null_is_replaced() -> None:
    world = World({A: None}, {A: 11})
    result = world.reconcile(A)
    assert (result.outcome, result.old_balance, world.balance(A)) == (Outcome.CORRECTED, 0, 11)


@pytest.mark.parametrize("key", ["alice", "", "0x1", A + "\n", A[:-1]])
def test_a_malformed_address_touches_nothing(key: str) -> None:
    world = World()
    result = world.reconcile(key)
    assert (result.user_address, result.error_code) == (key, "invalid_address")
    assert (world.ledger.calls, world.contract.calls) == ([], [])


def test_a_bad_admin_touches_nothing() -> None:
    world = World({A: 10}, {A: 11})
    assert world.reconcile(A, " ").error_code == "invalid_admin"
    assert (world.ledger.calls, world.contract.calls) == ([], [])


@pytest.mark.parametrize("stored", [A[2:], "0x" + A[2:].upper(), A[2:].upper()])
def test_the_row_is_found_under_another_spelling(stored: str) -> None:
    world = World({stored: 10}, {A: 11})
    assert world.reconcile(A).user_address == stored
    assert world.ledger.balances() == {stored: 11}


def test_two_rows_of_one_account_are_ambiguous_unless_one_is_named() -> None:
    world = World({A[2:]: 10, A[2:].upper(): 20}, {A: 11})
    assert world.reconcile(A).error_code == "ambiguous_address"
    assert world.reconcile(A[2:]).outcome is Outcome.CORRECTED
    assert world.ledger.balances() == {A[2:]: 11, A[2:].upper(): 20}


def test_a_row_that_moves_between_read_and_write_is_read_again() -> None:
    world = World({A: 10}, {A: 11})
    moves = iter([12, 13])

    def move(method: str) -> None:
        if method == "correct_user" and (units := next(moves, None)):
            world.ledger.put(A, units)

    world.ledger.before_call = move
    result = world.reconcile(A)
    assert (result.outcome, result.old_balance, result.new_balance) == (Outcome.CORRECTED, 13, 11)
    assert len(world.ledger.audit) == 1


def test_a_row_that_never_stands_still_fails_in_the_end() -> None:
    world = World({A: 10}, {A: 11})
    moved = iter(range(1000, 2000))

    def move(method: str) -> None:
        if method == "correct_user":
            world.ledger.put(A, next(moved))

    world.ledger.before_call = move
    result = world.reconcile(A)
    assert (result.error_code, world.ledger.audit) == ("changed_meanwhile", [])
    assert next(moved) == 1005


def test_a_row_from_a_newer_block_is_not_overwritten() -> None:
    world = World({A: 10}, {A: 11})
    world.ledger.rows[A] = Row(world.balance(A), reconciled_height=FIRST_HEIGHT + 5)
    result = world.reconcile(A)
    assert (result.error_code, world.balance(A)) == ("stale_height", 10)
    world.contract.seal(5)
    assert world.reconcile(A).outcome is Outcome.CORRECTED


def test_a_preview_writes_nothing() -> None:
    world = World({A: 10}, {A: 15})
    result = world.user_reconciler.preview(A)
    assert (result.outcome, result.discrepancy) == (Outcome.WOULD_CORRECT, 5)
    assert (world.balance(A), world.ledger.audit) == (10, [])
    assert {method for method, _ in world.ledger.calls} == {"get_balances"}


@pytest.mark.parametrize(
    ("contract", "outcome"), [(109, Outcome.IN_SYNC), (110, Outcome.WOULD_CORRECT)]
)
def test_a_preview_tolerates_a_difference_below_the_tolerance(
    contract: int, outcome: Outcome
) -> None:
    policy = Policy(tolerance=FlowAmount(10))
    world = World({A: 100}, {A: contract}, policy)
    assert world.user_reconciler.preview(A).outcome is outcome


def test_the_default_admin_is_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({A: 10}, {A: 11})
    monkeypatch.setattr("shared.bootstrap.services", lambda: world)
    assert api.reconcile_user_balance(A).success
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_ADMIN"


def test_a_named_admin_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({A: 10}, {A: 11})
    monkeypatch.setattr("shared.bootstrap.services", lambda: world)
    assert api.reconcile_user_balance(A, "root").success
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_root"
