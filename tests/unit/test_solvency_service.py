from collections.abc import Callable

import pytest

from shared.core.alert import AlertKind
from shared.core.amount import SMALLEST, FlowAmount
from shared.core.errors import (
    ContractFunctionMissing,
    ContractUnreachable,
    InvalidAdmin,
    LedgerProcedureMissing,
    LedgerTimeout,
    ReconcileError,
)
from shared.core.solvency import SolvencyState
from shared.services.retry import Backoff
from shared.services.solvency import LASTING_MAX, SolvencyChecker
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_solvency import FakeAlerter, FakeSolvencyStore, FakeVault

S = SolvencyState
SETTLE_S = 30.0
MISMATCH, UNREADABLE = AlertKind.SOLVENCY_MISMATCH, AlertKind.SOLVENCY_UNREADABLE


class World:
    """A ledger, a vault and a contract that agree on 100, and a checker of them."""

    def __init__(self, tolerance: int = SMALLEST) -> None:
        self.clock = FakeClock()
        self.store = FakeSolvencyStore(self.clock)
        self.vault = FakeVault()
        self.alerter = FakeAlerter()
        self.waits: list[float] = []
        self.on_wait: Callable[[], None] = lambda: None
        self.store.hold(100)
        self.vault.set(100)
        self.checker = SolvencyChecker(
            self.store,
            self.vault,
            self.vault,
            self.clock,
            self.alerter,
            tolerance=FlowAmount(tolerance),
            settle_s=SETTLE_S,
            backoff=Backoff(attempts_max=2, base_s=0),
        )

    def check(self, left_s: float | None = None) -> SolvencyState:
        return self.checker.check("alice", left_s=left_s, on_wait=self._wait).state

    @property
    def last(self) -> tuple[SolvencyState, bool]:
        return self.store.checks[-1].state, self.store.checks[-1].confirmed

    def _wait(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.on_wait()


@pytest.fixture
def world() -> World:
    return World()


def test_whole_is_stored_in_one_look_without_an_audit_row(world: World) -> None:
    check = world.checker.check("alice")
    assert check.state is S.SOLVENT
    assert check == world.store.checks[0] == world.checker.latest()
    assert (check.admin_address, check.block_height) == ("alice", world.vault.height)
    assert (check.ledger_total, check.vault_balance, check.contract_total) == (100, 100, 100)
    assert not world.store.audit
    assert not world.waits
    assert not world.alerter.open


def test_a_mismatch_that_lasts_is_confirmed_audited_and_told(world: World) -> None:
    world.store.hold(110)
    assert world.check() is S.DEFICIT
    assert world.last == (S.DEFICIT, True)
    assert world.waits == [SETTLE_S]
    assert len(world.vault.calls) == 2
    (audited,) = world.store.audit
    assert audited.reading is not None
    assert audited.reading.difference == -10
    alert = world.alerter.open[MISMATCH]
    assert alert.facts["Audit row"] == "1"


def test_a_deposit_between_the_two_reads_alarms_nobody(world: World) -> None:
    """The ledger gets it while the check waits, as it does in a game that runs."""
    world.store.before_totals = lambda: world.vault.set(105)
    world.on_wait = lambda: world.store.hold(105)
    assert world.check() is S.SOLVENT
    assert world.waits == [SETTLE_S]
    assert not world.store.audit
    assert world.alerter.told == [(UNREADABLE, None), (MISMATCH, None)]


def test_the_second_look_is_at_the_same_block_or_a_newer_one(world: World) -> None:
    world.store.hold(110)
    first = world.vault.height
    world.on_wait = lambda: world.vault.set(100)
    world.check()
    assert world.vault.calls == [first, first + 1]


def test_what_differs_each_time_in_another_way_is_not_confirmed(world: World) -> None:
    totals = iter([110, 90, 110])
    world.store.before_totals = lambda: world.store.hold(next(totals))
    assert world.check() is S.DEFICIT
    assert world.last == (S.DEFICIT, False)
    assert len(world.waits) == 2
    assert not world.store.audit
    assert world.alerter.told == [(UNREADABLE, None)]


def test_what_differs_the_other_way_first_is_confirmed_by_a_third_look(world: World) -> None:
    totals = iter([110, 90, 90])
    world.store.before_totals = lambda: world.store.hold(next(totals))
    assert world.check() is S.SURPLUS
    assert world.last == (S.SURPLUS, True)


def test_a_difference_below_the_tolerance_is_none() -> None:
    world = World(tolerance=10)
    world.store.hold(109)
    assert world.check() is S.SOLVENT
    world.store.hold(110)
    assert world.check() is S.DEFICIT


def test_without_the_time_to_look_again_a_mismatch_is_stored_unconfirmed(world: World) -> None:
    world.store.hold(110)
    assert world.check(left_s=SETTLE_S) is S.DEFICIT
    assert world.last == (S.DEFICIT, False)
    assert not world.waits
    assert not world.store.audit
    assert MISMATCH not in world.alerter.open


def test_then_a_later_check_that_finds_it_too_confirms_it(world: World) -> None:
    world.store.hold(110)
    world.check(left_s=SETTLE_S)
    world.clock.advance(SETTLE_S - 1)
    world.check(left_s=SETTLE_S)
    assert world.last == (S.DEFICIT, False)
    world.clock.advance(SETTLE_S)
    world.check(left_s=SETTLE_S)
    assert world.last == (S.DEFICIT, True)
    assert len(world.store.audit) == 1


@pytest.mark.parametrize("total", [100, 90])
def test_a_check_between_that_found_something_else_does_not(world: World, total: int) -> None:
    world.store.hold(110)
    world.check(left_s=SETTLE_S)
    world.clock.advance(SETTLE_S)
    world.store.hold(total)
    world.check(left_s=SETTLE_S)
    world.clock.advance(SETTLE_S)
    world.store.hold(110)
    world.check(left_s=SETTLE_S)
    assert world.last == (S.DEFICIT, False)


def test_nor_does_one_of_long_ago(world: World) -> None:
    world.store.hold(110)
    world.check(left_s=SETTLE_S)
    world.clock.advance(LASTING_MAX.total_seconds() + 1)
    world.check(left_s=SETTLE_S)
    assert world.last == (S.DEFICIT, False)


def test_an_unconfirmed_mismatch_leaves_an_open_alert_as_it_is(world: World) -> None:
    world.store.hold(110)
    world.check()
    before = dict(world.alerter.open)
    world.store.hold(90)
    world.check(left_s=1)
    assert world.last == (S.SURPLUS, False)
    assert world.alerter.open == before


def test_the_alert_is_over_when_all_agree_again(world: World) -> None:
    world.store.hold(110)
    world.check()
    world.store.hold(100)
    world.check()
    assert not world.alerter.open


def test_an_outage_is_no_insolvency(world: World) -> None:
    world.store.hold(110)
    world.check()
    told = world.alerter.open[MISMATCH]
    world.vault.failures = [ContractUnreachable("it is down", remedy="Wait.")] * 2
    assert world.check() is S.UNREADABLE
    check = world.store.checks[-1]
    assert (check.error_code, check.error) == ("contract_unreachable", "it is down. Wait.")
    assert len(world.store.audit) == 1
    assert world.alerter.open[MISMATCH] is told
    assert world.alerter.open[UNREADABLE].state == "contract_unreachable"
    world.check()
    assert UNREADABLE not in world.alerter.open


def test_an_outage_in_the_second_look_confirms_nothing(world: World) -> None:
    world.store.hold(110)
    error = ContractUnreachable("it is down", remedy="Wait.")
    world.on_wait = lambda: world.vault.failures.extend([error] * 2)
    assert world.check() is S.UNREADABLE
    assert not world.store.audit


def test_a_node_that_has_fallen_behind_confirms_nothing(world: World) -> None:
    world.store.hold(110)

    def another_node() -> None:
        world.vault.height -= 1

    world.on_wait = another_node
    assert world.check() is S.UNREADABLE
    assert world.store.checks[-1].error_code == "contract_height_unavailable"


@pytest.mark.parametrize(
    "error",
    [
        LedgerTimeout("too slow", remedy="Wait."),
        LedgerProcedureMissing("no such procedure", remedy="Migrate."),
    ],
)
def test_a_ledger_that_cannot_be_summed_is_unreadable(world: World, error: ReconcileError) -> None:
    world.store.failures = [error] * (2 if error.retryable else 1)
    assert world.check() is S.UNREADABLE
    assert world.store.checks[-1].error_code == error.code


def test_a_contract_without_a_vault_is_unreadable(world: World) -> None:
    world.vault.failures = [ContractFunctionMissing("no vault", remedy="Give a script.")]
    assert world.check() is S.UNREADABLE


def test_a_hiccup_is_retried(world: World) -> None:
    world.vault.failures = [ContractUnreachable("it is down", remedy="Wait.")]
    assert world.check() is S.SOLVENT


def test_a_check_that_cannot_be_stored_is_an_error(world: World) -> None:
    world.vault.failures = [ContractUnreachable("it is down", remedy="Wait.")] * 2

    def database_down() -> None:
        world.store.failures = [LedgerTimeout("too slow", remedy="Wait.")] * 2

    world.store.before_totals = database_down
    with pytest.raises(LedgerTimeout):
        world.check()
    assert not world.alerter.told


def test_a_mismatch_too_large_for_an_audit_row_is_stored_and_told(world: World) -> None:
    world.store.hold(10**20)
    world.check()
    check = world.store.checks[-1]
    assert (check.confirmed, check.audit_id) == (True, None)
    assert check.error_code == "audit_amount_out_of_range"
    assert MISMATCH in world.alerter.open


def test_since_when_is_kept_while_the_state_lasts(world: World) -> None:
    world.store.hold(110)
    since = world.checker.check("alice").since
    world.clock.advance(900)
    world.vault.failures = [ContractFunctionMissing("no vault", remedy="Give a script.")]
    assert world.checker.check("alice").since > since
    world.clock.advance(900)
    assert world.checker.check("alice").since == since


def test_a_blank_admin_is_refused_before_anything_is_read(world: World) -> None:
    with pytest.raises(InvalidAdmin):
        world.checker.check(" ")
    assert not world.vault.calls


def test_the_newest_are_listed_first_and_by_page(world: World) -> None:
    for _ in range(3):
        world.check()
    first, second, third = world.store.checks
    assert world.checker.list(limit=2) == [third, second]
    assert world.checker.list(before=second.check_id) == [first]


def test_without_any_check_there_is_no_latest_one(world: World) -> None:
    assert world.checker.latest() is None
