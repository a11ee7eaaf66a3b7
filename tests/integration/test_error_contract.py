"""Faults of the chain's side, caused on the real emulator: each has its code, none writes."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared import ReconcileError, reconcile_all_users, reconcile_user_balance
from tests.conftest import (
    CADENCE_FIXTURES,
    Balances,
    LedgerTables,
    Setting,
    new_address,
    new_addresses,
)
from tools.chain import Chain
from tools.chain.sources import read_cadence
from tools.stack import Stack
from tools.stack.ports import free_ports

USER = "0x00000000000000e1"


@pytest.fixture(autouse=True)
def unchanged(ledger_rows: LedgerTables) -> Iterator[None]:
    """A ledger with one user in it, which must be as it was when the test is over."""
    ledger_rows.insert({USER: 5})
    yield
    assert ledger_rows.balances() == {USER: 5}
    assert ledger_rows.audit() == []


def assert_both_fail(code: str, remedy: str) -> None:
    """One user's error is in the result; a sweep that can ask about nobody raises it."""
    result = reconcile_user_balance(USER)
    assert (result.success, result.error_code) == (False, code)
    assert remedy in (result.error or "")
    assert result.new_balance is None
    with pytest.raises(ReconcileError) as caught:
        reconcile_all_users()
    assert caught.value.code == code


@contextmanager
def paused(stack: Stack) -> Iterator[None]:
    stack.emulator.pause()
    try:
        yield
    finally:
        stack.emulator.resume()


def test_an_access_node_that_is_not_there(environment: Setting) -> None:
    environment(FLOW_ACCESS_NODE=f"127.0.0.1:{free_ports(1)[0]}")

    assert_both_fail("contract_unreachable", "Check FLOW_ACCESS_NODE")


def test_an_access_node_that_does_not_answer(environment: Setting, stack: Stack) -> None:
    environment(FLOW_TIMEOUT_S="0.3")

    with paused(stack):
        assert_both_fail("contract_timeout", "raise FLOW_TIMEOUT_S")


def test_a_contract_that_is_not_deployed(environment: Setting, chain: Chain) -> None:
    environment(FLOW_CONTRACT_ADDRESS=chain.create_account().address)

    assert_both_fail("contract_not_deployed", "Check FLOW_CONTRACT_ADDRESS")


def test_an_address_that_nobody_has(environment: Setting) -> None:
    environment(FLOW_CONTRACT_ADDRESS=new_address())

    assert_both_fail("contract_not_deployed", "Check FLOW_CONTRACT_ADDRESS")


def test_a_contract_without_the_function(environment: Setting, chain: Chain) -> None:
    account = chain.create_account()
    with Chain(chain.access_node, account.address, account.private_key_hex) as owner:
        owner.deploy_contract("NoBalances", read_cadence(CADENCE_FIXTURES / "NoBalances.cdc"))
    environment(FLOW_CONTRACT_ADDRESS=account.address, FLOW_CONTRACT_NAME="NoBalances")

    assert_both_fail("contract_function_missing", "FLOW_BALANCE_SCRIPT")


def test_a_query_that_fails_for_one_user(on_balance_fixture: Balances) -> None:
    user = new_address()
    on_balance_fixture.fail([user])

    result = reconcile_user_balance(user)

    assert (result.success, result.error_code) == (False, "contract_query_failed")
    assert "nothing was changed in the ledger" in (result.error or "")


def test_a_query_that_fails_for_everybody_writes_nothing(
    ledger_rows: LedgerTables, on_balance_fixture: Balances
) -> None:
    users = new_addresses(4)
    ledger_rows.insert(dict.fromkeys(users, 9))
    on_balance_fixture.set({USER: 5})
    on_balance_fixture.fail(users)

    result = reconcile_all_users()

    assert {each.user_address: each.error_code for each in result} == dict.fromkeys(
        users, "contract_query_failed"
    )
    assert ledger_rows.balances() == dict.fromkeys(users, 9) | {USER: 5}
    ledger_rows.run("delete from public.user_balances where balance = 0.00000009")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("user", ["", "0x1", "not-an-address", "0xg8d6e0586b0a20c7", f"{USER} "])
def test_an_invalid_address(user: str) -> None:
    result = reconcile_user_balance(user)

    assert (result.success, result.error_code) == (False, "invalid_address")
    assert "16 hexadecimal digits" in (result.error or "")


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("admin", ["", "  ", "x" * 201, "a\nb"])
def test_an_invalid_admin(admin: str) -> None:
    result = reconcile_user_balance(USER, admin)

    assert (result.success, result.error_code) == (False, "invalid_admin")
