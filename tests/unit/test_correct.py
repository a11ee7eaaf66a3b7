from uuid import UUID

import pytest

from shared.core.amount import ZERO, FlowAmount
from shared.core.compare import Candidate
from shared.core.errors import (
    ContractHeightUnavailable,
    ContractUnreachable,
    LedgerLockTimeout,
    LedgerUnreachable,
    ReconcileError,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.services.correct import Corrector
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_ledger import Row
from tests.unit.users import user
from tests.unit.worlds import World

RUN = UUID(int=1)
A = user(1)


def drifted(count: int) -> World:
    """The ledger holds 10 for everybody, the contract 100 and the user's number."""
    users = range(1, count + 1)
    return World({user(n): 10 for n in users}, {user(n): 100 + n for n in users})


def candidates(world: World) -> list[Candidate]:
    """As a scan at this moment finds them."""
    rows = sorted(world.ledger.balances().items())
    return [
        Candidate(
            key,
            balance if isinstance(balance, int) else ZERO,
            world.contract.balance(key),
            world.contract.height,
        )
        for key, balance in rows
    ]


def correct(world: World, found: list[Candidate]) -> dict[str, ReconciliationResult]:
    corrector = Corrector(world.retrying, world.reader, world.clock)
    look = corrector.look_again(found, Policy())
    results = corrector.write(look, admin_address="ADMIN", run_id=RUN)
    assert len(results) == len(found)
    return {result.user_address: result for result in results}


def outcomes(results: dict[str, ReconciliationResult]) -> list[Outcome]:
    return [results[key].outcome for key in sorted(results)]


def test_what_still_differs_is_corrected_with_an_audit_row() -> None:
    world = drifted(3)
    results = correct(world, candidates(world))
    assert outcomes(results) == [Outcome.CORRECTED] * 3
    assert (world.balance(user(2)), results[user(2)].discrepancy) == (102, 92)
    assert [row.run_id for row in world.ledger.audit] == [RUN] * 3
    assert results[A].audit_id == "1"


def test_the_newest_contract_balance_is_written() -> None:
    world = drifted(1)
    found = candidates(world)
    height = world.contract.set(A, 500)
    result = correct(world, found)[A]
    assert (result.new_balance, result.block_height, world.balance(A)) == (500, height, 500)
    assert world.ledger.rows[A].reconciled_height == height


def test_what_agrees_by_now_is_transient() -> None:
    world = drifted(1)
    found = candidates(world)
    world.ledger.put(A, 101)
    assert correct(world, found)[A].outcome is Outcome.TRANSIENT
    assert world.ledger.audit == []


def test_a_row_that_moved_since_the_scan_is_not_written() -> None:
    world = drifted(1)
    found = candidates(world)
    world.ledger.put(A, 11)
    assert correct(world, found)[A].outcome is Outcome.CHANGED_MEANWHILE
    assert (world.balance(A), world.ledger.audit) == (11, [])


def test_a_row_that_vanished_is_not_created() -> None:
    world = drifted(1)
    found = candidates(world)
    del world.ledger.rows[A]
    assert correct(world, found)[A].outcome is Outcome.CHANGED_MEANWHILE
    assert world.ledger.rows == {}


@pytest.mark.parametrize(
    ("moved_to", "outcome", "code"),
    [(11, Outcome.CHANGED_MEANWHILE, "changed_meanwhile"), (101, Outcome.CHANGED_MEANWHILE, None)],
)
def test_a_row_that_moves_between_confirmation_and_write_is_not_written(
    moved_to: int, outcome: Outcome, code: str | None
) -> None:
    world = drifted(2)

    def move(method: str) -> None:
        if method == "correct_users":
            world.ledger.put(A, moved_to)

    world.ledger.before_call = move
    results = correct(world, candidates(world))
    assert results[A].outcome is outcome
    assert results[A].error_code == (code or "changed_meanwhile")
    assert results[user(2)].outcome is Outcome.CORRECTED
    assert world.balance(A) == moved_to


def test_a_row_from_a_newer_block_is_not_written() -> None:
    world = drifted(1)
    world.ledger.rows[A] = Row(FlowAmount(10), event_height=FIRST_HEIGHT + 1)
    result = correct(world, candidates(world))[A]
    assert (result.outcome, result.error_code) == (Outcome.CHANGED_MEANWHILE, "stale_height")


def test_a_user_who_panics_by_now_fails_alone() -> None:
    world = drifted(3)
    found = candidates(world)
    world.contract.panic_for([A])
    results = correct(world, found)
    assert (results[A].outcome, results[A].old_balance) == (Outcome.FAILED, 10)
    assert results[A].error_code == "contract_query_failed"
    assert outcomes(results)[1:] == [Outcome.CORRECTED] * 2


@pytest.mark.parametrize("position", [1, 5, 10])
def test_a_constraint_of_one_row_fails_only_that_user(position: int) -> None:
    world = drifted(10)
    world.ledger.constraint = lambda key, balance: key != user(position)
    results = correct(world, candidates(world))
    failed = [key for key, result in results.items() if result.outcome is Outcome.FAILED]
    assert failed == [user(position)]
    assert results[user(position)].error_code == "ledger_constraint_violation"
    assert len(world.ledger.audit) == 9


def test_a_locked_row_fails_only_its_user() -> None:
    world = drifted(8)
    locked = LedgerLockTimeout("locked", remedy="Again.")
    world.ledger.fail_when(
        lambda method, keys: locked if method == "correct_users" and user(3) in keys else None
    )
    results = correct(world, candidates(world))
    assert results[user(3)].error_code == "ledger_lock_timeout"
    assert sum(each.outcome is Outcome.CORRECTED for each in results.values()) == 7


def test_a_lost_answer_is_reported_as_the_first_writes_outcome() -> None:
    world = drifted(3)
    lost = LedgerUnreachable("down", remedy="Wait.")
    world.ledger.lose_next_answer(lost, method="correct_users")
    assert outcomes(correct(world, candidates(world))) == [Outcome.CORRECTED] * 3
    assert len(world.ledger.audit) == 3


@pytest.mark.parametrize("side", ["ledger", "contract"])
def test_a_side_that_is_down_is_an_error_of_them_all_and_writes_nothing(side: str) -> None:
    world = drifted(3)
    found = candidates(world)
    if side == "ledger":
        unreachable: ReconcileError = LedgerUnreachable("down", remedy="Wait.")
        world.ledger.fail_when(lambda method, keys: unreachable)
    else:
        unreachable = ContractUnreachable("down", remedy="Wait.")
        world.contract.fail_when(lambda users: unreachable)
    with pytest.raises(type(unreachable)):
        correct(world, found)
    assert world.ledger.audit == []


def test_a_ledger_that_goes_down_before_the_write_is_an_error_of_them_all() -> None:
    world = drifted(3)
    down = LedgerUnreachable("down", remedy="Wait.")
    world.ledger.fail_when(lambda method, keys: down if method == "correct_users" else None)
    with pytest.raises(LedgerUnreachable):
        correct(world, candidates(world))


def test_a_user_without_a_row_gets_one() -> None:
    world = World({}, {A: 7})
    missing = Candidate(A, ZERO, FlowAmount(7), world.contract.height, row_exists=False)
    assert correct(world, [missing])[A].outcome is Outcome.CORRECTED
    assert world.balance(A) == 7


def test_a_row_that_appears_meanwhile_is_not_written() -> None:
    world = World({A: 3}, {A: 7})
    missing = Candidate(A, ZERO, FlowAmount(7), world.contract.height, row_exists=False)
    assert correct(world, [missing])[A].outcome is Outcome.CHANGED_MEANWHILE
    assert world.balance(A) == 3


def test_a_node_behind_the_scan_is_not_believed() -> None:
    world = drifted(1)
    found = candidates(world)
    world.contract.height -= 1
    with pytest.raises(ContractHeightUnavailable):
        correct(world, found)
    assert world.balance(A) == 10


def test_nobody_to_correct_asks_nobody() -> None:
    world = drifted(1)
    assert correct(world, []) == {}
    assert (world.ledger.calls, world.contract.calls) == ([], [])
