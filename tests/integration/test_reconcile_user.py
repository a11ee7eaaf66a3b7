"""`reconcile_user_balance` on the real stack: contract, PostgREST, procedure."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from shared import Outcome, reconcile_user_balance
from tests.conftest import AuditRow, Balances, LedgerTables, new_address

Give = Callable[[Mapping[str, int]], None]

FLOW = 10**8
UFIX64_MAX = 2**64 - 1

pytestmark = pytest.mark.usefixtures("environment")


def audit_row(user: str, before: int, after: int, admin: str = "ADMIN") -> AuditRow:
    by = f"reconciliation_by_{admin}"
    return AuditRow(user, "reconciliation", after - before, before, after, by)


@pytest.mark.parametrize(
    ("ledger", "contract"),
    [
        pytest.param(3 * FLOW, 5 * FLOW, id="contract higher"),
        pytest.param(5 * FLOW, 3 * FLOW, id="contract lower"),
        pytest.param(5 * FLOW, 0, id="contract zero"),
        pytest.param(0, 1, id="smallest unit"),
    ],
)
def test_the_ledger_follows_the_contract_and_is_audited(
    ledger_rows: LedgerTables, contract_balances: Give, ledger: int, contract: int
) -> None:
    user, other = new_address(), new_address()
    ledger_rows.insert({user: ledger, other: 7})
    contract_balances({user: contract})

    result = reconcile_user_balance(user, "0xadmin")

    assert (result.success, result.outcome) == (True, Outcome.CORRECTED)
    assert (result.old_balance, result.new_balance) == (ledger, contract)
    assert result.discrepancy == contract - ledger
    assert (result.error, result.error_code) == (None, None)
    assert ledger_rows.balances() == {user: contract, other: 7}
    assert ledger_rows.audit() == [audit_row(user, ledger, contract, "0xadmin")]


def test_a_user_who_is_not_in_the_database_is_created(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    user = new_address()
    contract_balances({user: 2 * FLOW})

    result = reconcile_user_balance(user)

    assert (result.old_balance, result.new_balance, result.discrepancy) == (0, 2 * FLOW, 2 * FLOW)
    assert ledger_rows.balances() == {user: 2 * FLOW}
    assert ledger_rows.audit() == [audit_row(user, 0, 2 * FLOW)]


def test_a_user_in_sync_is_audited_because_an_admin_acted(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    user = new_address()
    ledger_rows.insert({user: 5})
    contract_balances({user: 5})

    result = reconcile_user_balance(user)

    assert (result.success, result.outcome, result.discrepancy) == (True, Outcome.IN_SYNC, 0)
    assert ledger_rows.audit() == [audit_row(user, 5, 5)]


def test_without_an_admin_the_audit_row_names_the_default(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    user = new_address()
    contract_balances({user: 1})

    reconcile_user_balance(user)

    assert [row.transaction_hash for row in ledger_rows.audit()] == ["reconciliation_by_ADMIN"]


def test_reconciling_again_changes_nothing_more(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    user = new_address()
    contract_balances({user: 9})
    reconcile_user_balance(user)

    again = reconcile_user_balance(user)

    assert (again.outcome, again.old_balance, again.discrepancy) == (Outcome.IN_SYNC, 9, 0)
    assert sum(row.amount for row in ledger_rows.audit()) == 9


@pytest.mark.parametrize("units", [1, 2**53 + 1, UFIX64_MAX - 1, UFIX64_MAX])
def test_amounts_are_exact_to_the_last_unit(
    ledger_rows: LedgerTables, on_balance_fixture: Balances, units: int
) -> None:
    user = new_address()
    ledger_rows.insert({user: units - 1})
    on_balance_fixture.set({user: units})

    result = reconcile_user_balance(user)

    assert (result.old_balance, result.new_balance, result.discrepancy) == (units - 1, units, 1)
    assert ledger_rows.balances() == {user: units}
    assert ledger_rows.audit() == [audit_row(user, units - 1, units)]


@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(str.lower, id="as the chain writes it"),
        pytest.param(lambda user: "0x" + user[2:].upper(), id="upper case"),
        pytest.param(lambda user: user[2:], id="without 0x"),
    ],
)
def test_a_row_is_found_however_its_key_is_stored(
    ledger_rows: LedgerTables, contract_balances: Give, spell: Callable[[str], str]
) -> None:
    user = "0xabcdef" + new_address()[8:]
    ledger_rows.insert({spell(user): 1})
    contract_balances({user: 4})

    result = reconcile_user_balance(user)

    assert (result.success, result.old_balance) == (True, 1)
    assert ledger_rows.balances() == {spell(user): 4}


def test_it_works_inside_a_running_event_loop(
    ledger_rows: LedgerTables, contract_balances: Give
) -> None:
    user = new_address()
    contract_balances({user: 6})

    async def in_a_loop() -> bool:
        return reconcile_user_balance(user).success

    assert asyncio.run(in_a_loop())
    assert ledger_rows.balances() == {user: 6}
