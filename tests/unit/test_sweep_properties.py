"""What holds for any ledger, any contract, and rows that move while a sweep runs."""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.address import normal_form
from shared.core.outcome import SETTLED, Outcome
from shared.core.sweep_result import SweepResult
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

MALFORMED = ["", "alice", "0x1", "0xZZcdef0000000001", "é" * 16]


@dataclass(frozen=True)
class Case:
    """A world's beginning, and what happens between the scan and the correction."""

    ledger: dict[str, int | str | None]
    contract: dict[str, int]
    panicking: set[str]
    refused_by_the_app: set[str]
    ledger_moves: dict[str, int]
    contract_moves: dict[str, int]
    held_before: set[str]
    held_meanwhile: set[str]
    batch_size: int

    def world(self) -> World:
        world = World(self.ledger, self.contract, replace(CAREFREE, batch_size=self.batch_size))
        world.contract.panic_for(self.panicking)
        world.ledger.constraint = lambda key, balance: key not in self.refused_by_the_app
        for key in self.held_before:
            world.hold(key)
        return world

    def apply(self, world: World) -> SweepResult:
        """Sweep; everything moves once, just before the first candidates are read again."""
        moves = iter([True])

        def move(method: str) -> None:
            if method == "get_balances" and next(moves, False):
                for key, units in self.ledger_moves.items():
                    if key in world.ledger.rows:
                        world.ledger.put(key, units)
                for key, units in self.contract_moves.items():
                    world.contract.set(key, units)
                for key in self.held_meanwhile:
                    world.hold(key)

        world.ledger.before_call = move
        sweep = world.sweep()
        world.ledger.before_call = lambda method: None
        return sweep


UNITS = st.integers(0, 4) | st.sampled_from([2**53 + 1, 2**64 - 1])
USERS = st.integers(0, 15).map(user)
KEYS = USERS | USERS.map(lambda key: key[2:].upper()) | st.sampled_from(MALFORMED)
CASES = st.builds(
    Case,
    ledger=st.dictionaries(KEYS, UNITS | st.none() | st.just("NaN"), max_size=15),
    contract=st.dictionaries(USERS, UNITS, max_size=12),
    panicking=st.sets(USERS, max_size=3),
    refused_by_the_app=st.sets(USERS, max_size=2),
    ledger_moves=st.dictionaries(USERS, UNITS, max_size=3),
    contract_moves=st.dictionaries(USERS, UNITS, max_size=3),
    held_before=st.sets(USERS, max_size=4),
    held_meanwhile=st.sets(USERS, max_size=4),
    batch_size=st.integers(1, 6),
)
several = settings(max_examples=60, deadline=None)


def assert_counts_add_up(sweep: SweepResult, users: int) -> None:
    assert sweep.summary.users == users
    assert sum(sweep.summary.outcomes.values()) == users
    assert len({result.user_address for result in sweep}) == len(sweep)
    assert len(sweep) + sweep.summary.count(Outcome.IN_SYNC) == users


@several
@given(CASES)
def test_counts_add_up_and_settled_users_equal_the_contract(case: Case) -> None:
    world = case.world()
    sweep = case.apply(world)
    assert_counts_add_up(sweep, len(case.ledger))
    for result in sweep:
        if result.outcome in SETTLED:
            # A script's balance is that of its height: nobody moves after the correction.
            assert world.balance(result.user_address) == world.contract.balance(result.user_address)
        else:
            assert result.outcome in (Outcome.FAILED, Outcome.CHANGED_MEANWHILE, Outcome.HELD)


@several
@given(CASES)
def test_every_written_balance_has_its_audit_row_and_nothing_else_is_written(case: Case) -> None:
    world = case.world()
    sweep = case.apply(world)
    corrected = {each.user_address for each in sweep if each.outcome is Outcome.CORRECTED}
    assert sorted(row.user_address for row in world.ledger.audit) == sorted(corrected)
    for key, balance in case.ledger.items():
        if key not in corrected:
            assert world.balance(key) in (balance, case.ledger_moves.get(key, balance))
    for row in world.ledger.audit:
        assert row.amount == row.balance_after - row.balance_before != 0


@several
@given(CASES)
def test_a_dry_run_writes_nothing(case: Case) -> None:
    world = case.world()
    sweep = world.sweep(dry_run=True)
    assert_counts_add_up(sweep, len(case.ledger))
    assert world.ledger.balances() == case.ledger
    assert world.ledger.audit == []


@several
@given(CASES)
def test_a_second_sweep_finds_nothing_among_the_settled(case: Case) -> None:
    world = case.world()
    first = case.apply(world)
    settled = {each.user_address for each in first if each.outcome in SETTLED}
    audit = list(world.ledger.audit)
    second = world.sweep()
    again = {each.user_address for each in second}
    assert not settled & again
    assert not {row.user_address for row in world.ledger.audit[len(audit) :]} & settled


@several
@given(CASES)
def test_who_is_held_is_never_written_and_nobody_else_is_called_held(case: Case) -> None:
    world = case.world()
    sweep = case.apply(world)
    written = {row.user_address for row in world.ledger.audit}
    assert not written & (case.held_before | case.held_meanwhile)
    for result in sweep:
        if result.outcome is Outcome.HELD:
            assert world.ledger.hold_of(result.user_address)
            assert (result.error_code, result.success) == ("user_held", False)
            assert result.discrepancy


@several
@given(CASES)
def test_a_panicking_or_malformed_user_is_never_written(case: Case) -> None:
    world = case.world()
    case.apply(world)
    written = {row.user_address for row in world.ledger.audit}
    assert all(normal_form(key) not in {None, *case.panicking} for key in written)
