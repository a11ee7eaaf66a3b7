"""Solvency checks on the real stack: the vault of OverflowGame, the sums of PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import psycopg
import pytest

from shared import bootstrap
from shared.core.alert import AlertKind
from shared.core.amount import SMALLEST
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.services.solvency import SolvencyChecker
from tests.conftest import Balances, LedgerTables, Setting, new_address
from tests.fakes.fake_solvency import FakeAlerter
from tests.integration.escrow import Escrow
from tools.chain import Chain
from tools.stack import Stack
from tools.stack.ports import free_ports

S = SolvencyState
FLOW = 10**8

pytestmark = pytest.mark.usefixtures("environment")


@pytest.fixture
def escrow(chain: Chain) -> Escrow:
    return Escrow(chain)


@pytest.fixture
def whole(ledger_rows: LedgerTables, escrow: Escrow) -> LedgerTables:
    """A ledger whose sum is the contract's total, in balances that no float can sum exactly."""
    escrow.deposit(new_address(), 3 * FLOW)
    vault, total = escrow.balances()
    assert vault == total, "the chain's own vault covers its users to the unit"
    rows = {new_address(): total - 40 * 10_000_001}
    rows |= {new_address(): 10_000_001 for _ in range(40)}
    ledger_rows.insert(rows)
    return ledger_rows


@pytest.fixture
def alerter() -> FakeAlerter:
    return FakeAlerter()


def checker(alerter: FakeAlerter, settle_s: float = 0) -> SolvencyChecker:
    """That of the services, but for whom it tells."""
    made = bootstrap.services()._connections
    from shared.adapters.supabase_solvency import SupabaseSolvency

    return SolvencyChecker(
        SupabaseSolvency(made.client),
        made.vault,
        made.contract,
        made.clock,
        alerter,
        tolerance=SMALLEST,
        settle_s=settle_s,
    )


def check(alerter: FakeAlerter) -> SolvencyCheck:
    return checker(alerter).check("alice")


def audit_rows(stack: Stack) -> list[tuple[Any, ...]]:
    with psycopg.connect(stack.database_url) as connection:
        return connection.execute(
            "select id::text, operation_type, amount, balance_before, balance_after,"
            " transaction_hash, block_height from public.balance_audit_log"
            " where user_address = 'SYSTEM' order by id"
        ).fetchall()


def flow(units: int | None) -> Decimal:
    assert units is not None
    return Decimal(units).scaleb(-8)


@pytest.mark.usefixtures("whole")
def test_a_ledger_that_the_vault_covers_is_solvent(stack: Stack, alerter: FakeAlerter) -> None:
    found = check(alerter)

    assert found.state is S.SOLVENT
    assert found.difference == found.contract_difference == 0
    assert (found.ledger_users, found.confirmed, found.audit_id) == (41, False, None)
    assert audit_rows(stack) == []
    assert not alerter.open


def test_a_ledger_that_was_edited_upwards_is_a_deficit_with_an_audit_row(
    whole: LedgerTables, stack: Stack, alerter: FakeAlerter
) -> None:
    whole.insert({new_address(): 1})

    found = check(alerter)

    assert (found.state, found.confirmed, found.difference) == (S.DEFICIT, True, -1)
    before, after = flow(found.ledger_total), flow(found.vault_balance)
    assert audit_rows(stack) == [
        (
            found.audit_id,
            "sync_check",
            Decimal("-0.00000001"),
            before,
            after,
            "sync_check_by_alice",
            found.block_height,
        )
    ]
    assert AlertKind.SOLVENCY_MISMATCH in alerter.open


def test_flow_that_no_user_owns_is_a_surplus(
    whole: LedgerTables, escrow: Escrow, alerter: FakeAlerter
) -> None:
    with escrow.holding_more(2 * FLOW):
        found = check(alerter)

    assert (found.state, found.confirmed) == (S.SURPLUS, True)
    assert (found.difference, found.contract_difference) == (2 * FLOW, 0)
    assert check(alerter).state is S.SOLVENT
    assert not alerter.open
    assert len(whole.audit()) == 1


@pytest.mark.usefixtures("whole")
def test_a_vault_that_was_emptied_in_part_is_the_contracts_own_shortage(
    escrow: Escrow, alerter: FakeAlerter
) -> None:
    with escrow.holding_less(FLOW):
        found = check(alerter)

    assert (found.state, found.confirmed) == (S.CONTRACT_SHORT, True)
    assert (found.difference, found.contract_difference) == (-FLOW, 0)


@pytest.mark.usefixtures("whole")
def test_a_node_that_is_down_is_unreadable_and_no_insolvency(
    environment: Setting, stack: Stack, alerter: FakeAlerter
) -> None:
    environment(FLOW_ACCESS_NODE=f"127.0.0.1:{free_ports(1)[0]}")

    found = check(alerter)

    assert (found.state, found.error_code) == (S.UNREADABLE, "contract_unreachable")
    assert found.vault_balance is found.ledger_total is found.block_height is None
    assert audit_rows(stack) == []
    assert list(alerter.open) == [AlertKind.SOLVENCY_UNREADABLE]


@pytest.mark.usefixtures("whole", "on_balance_fixture")
def test_a_contract_without_a_vault_says_which_setting_helps(
    balance_fixture: Balances, alerter: FakeAlerter
) -> None:
    assert balance_fixture.address
    found = check(alerter)

    assert (found.state, found.error_code) == (S.UNREADABLE, "contract_function_missing")
    assert "FLOW_VAULT_SCRIPT" in (found.error or "")


SCRIPT = """
import "OverflowGame"
access(all) fun main(): {String: UFix64} {
    let total = OverflowGame.totalUserBalance
    return {"vaultBalance": 184467440737.09551615, "totalUserBalance": total}
}
"""


@pytest.mark.usefixtures("whole")
def test_another_script_may_tell_the_balances(
    environment: Setting, tmp_path: Path, alerter: FakeAlerter
) -> None:
    script = tmp_path / "vault.cdc"
    script.write_text(SCRIPT)
    environment(FLOW_VAULT_SCRIPT=str(script))

    found = check(alerter)

    assert (found.state, found.vault_balance) == (S.SURPLUS, 2**64 - 1)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("access(all) fun main(): UFix64 { return 1.0 }", "contract_bad_answer"),
        ('access(all) fun main(): {String: UFix64} { return {"x": 1.0} }', "contract_bad_answer"),
        ('access(all) fun main(): UFix64 { panic("no") }', "contract_query_failed"),
        ("access(all) fun other() {}", "contract_script_invalid"),
    ],
)
def test_a_script_that_does_not_tell_them_is_unreadable(
    environment: Setting, tmp_path: Path, alerter: FakeAlerter, script: str, code: str
) -> None:
    file = tmp_path / "vault.cdc"
    file.write_text(script)
    environment(FLOW_VAULT_SCRIPT=str(file))

    found = check(alerter)

    assert (found.state, found.error_code) == (S.UNREADABLE, code)
    assert "FLOW_VAULT_SCRIPT" in (found.error or "")


def test_a_deposit_between_the_two_reads_alarms_nobody(
    whole: LedgerTables, escrow: Escrow, stack: Stack, alerter: FakeAlerter
) -> None:
    """The deposit is on chain after the ledger was summed; the app applies it while we wait."""
    made = checker(alerter, settle_s=0.01)
    user = new_address()
    with summed_before(made, lambda: escrow.deposit(user, FLOW)):
        found = made.check("alice", on_wait=lambda _: whole.insert({user: FLOW}))

    assert found.state is S.SOLVENT
    assert audit_rows(stack) == []
    assert alerter.told[-1] == (AlertKind.SOLVENCY_MISMATCH, None)
    assert not alerter.open


def test_the_same_deposit_never_applied_is_confirmed(
    whole: LedgerTables, escrow: Escrow, alerter: FakeAlerter
) -> None:
    made = checker(alerter, settle_s=0.01)
    with summed_before(made, lambda: escrow.deposit(new_address(), FLOW)):
        found = made.check("alice")

    assert (found.state, found.confirmed, found.difference) == (S.SURPLUS, True, FLOW)
    assert len(whole.audit()) == 1


@contextmanager
def summed_before(made: SolvencyChecker, happens: Any) -> Iterator[None]:
    """Lets something happen once, right after the ledger was summed for the first time."""
    store = made._store
    real = store.ledger_totals
    pending = [happens]

    def then() -> Any:
        totals = real()
        if pending:
            pending.pop()()
        return totals

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "ledger_totals", then)
        yield


def test_checks_at_the_same_time_are_recorded_one_after_another(
    whole: LedgerTables, stack: Stack, alerter: FakeAlerter
) -> None:
    whole.insert({new_address(): 5})
    made = checker(alerter)
    barrier = Barrier(4)

    def one(_: int) -> SolvencyCheck:
        barrier.wait()
        return made.check("alice")

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, range(4)))

    assert {each.state for each in found} == {S.DEFICIT}
    assert len({each.since for each in found}) == 1
    assert len(audit_rows(stack)) == 4
    assert {row[0] for row in audit_rows(stack)} == {each.audit_id for each in found}
    assert found[0].since == min(each.checked_at for each in found)


def test_a_million_rows_are_summed_exactly_in_one_call(
    ledger_rows: LedgerTables, alerter: FakeAlerter
) -> None:
    """0.00000001 to 0.01: summed as floats the last digits are lost."""
    ledger_rows.run(
        "insert into public.user_balances (user_address, balance)"
        " select '0x' || lpad(to_hex(n), 16, '0'), 100000 + n * 0.00000001"
        " from generate_series(1, 1000000) n"
    )

    totals = checker(alerter)._store.ledger_totals()

    assert totals.users == 1_000_000
    assert totals.total == 1_000_000 * 100_000 * FLOW + sum(range(1_000_001))
    assert (totals.unusable_users, totals.respelled_users, totals.negative_users) == (0, 0, 0)
    ledger_rows.clean()
