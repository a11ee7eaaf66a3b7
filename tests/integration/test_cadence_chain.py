"""The client that signs transactions, on a real emulator."""

import secrets

import pytest

from tools.chain import Chain, ChainError, ChainTransactionError
from tools.chain.deploy import deploy_overflow_game
from tools.chain.json_cadence import (
    UFIX64_MAX_UNITS,
    JsonCadence,
    address,
    amounts_by_address,
    array,
    boolean,
    string,
    ufix64,
)
from tools.chain.seed import seed_balances
from tools.chain.sources import read_cadence

PANIC = 'transaction { prepare(signer: &Account) { panic("refused for a reason") } }'
NOTHING = "transaction { prepare(signer: &Account) {} }"


def new_address() -> str:
    return f"0x{secrets.token_hex(8)}"


@pytest.mark.parametrize(
    ("cadence_type", "argument", "decoded"),
    [
        ("UFix64", ufix64(0), 0),
        ("UFix64", ufix64(2**53 + 1), 2**53 + 1),
        ("UFix64", ufix64(UFIX64_MAX_UNITS), UFIX64_MAX_UNITS),
        ("Address", address("0xAB"), "0x00000000000000ab"),
        ("String", string('"ä\n'), '"ä\n'),
        ("Bool", boolean(True), True),
        ("[UFix64]", array([ufix64(1), ufix64(2)]), [1, 2]),
        ("{Address: UFix64}", amounts_by_address({"01": 5}), {"0x0000000000000001": 5}),
    ],
)
def test_values_survive_the_way_to_cadence_and_back(
    chain: Chain, cadence_type: str, argument: JsonCadence, decoded: object
) -> None:
    code = f"access(all) fun main(value: {cadence_type}): {cadence_type} {{ return value }}"

    assert chain.run_script(code, [argument]) == decoded


@pytest.mark.parametrize(
    ("expression", "cadence_type", "decoded"),
    [
        ("nil", "Int?", None),
        ("-3", "Int8?", -3),
        ("-0.5", "Fix64", -50_000_000),
        ("18446744073709551615", "UInt64", 2**64 - 1),
    ],
)
def test_answers_of_other_types_are_decoded(
    chain: Chain, expression: str, cadence_type: str, decoded: object
) -> None:
    code = f"access(all) fun main(): {cadence_type} {{ return {expression} }}"

    assert chain.run_script(code) == decoded


@pytest.mark.parametrize("units", [-1, UFIX64_MAX_UNITS + 1])
def test_an_amount_that_ufix64_cannot_hold_is_refused(units: int) -> None:
    with pytest.raises(ValueError, match=f"not {units}"):
        ufix64(units)


def test_a_failed_transaction_carries_the_words_of_the_panic(chain: Chain) -> None:
    with pytest.raises(ChainTransactionError, match="refused for a reason") as caught:
        chain.send(PANIC)
    assert caught.value.error_code == 1101
    assert len(caught.value.transaction_id) == 64


def test_transactions_go_on_after_a_failed_one(chain: Chain) -> None:
    with pytest.raises(ChainTransactionError):
        chain.send(PANIC)

    chain.send(NOTHING)


def test_transactions_go_on_after_one_that_the_node_refused(chain: Chain) -> None:
    with pytest.raises(ChainError):
        chain.send("this is no Cadence")

    chain.send(NOTHING)


def test_two_clients_share_one_account(chain: Chain) -> None:
    with Chain(chain.access_node, chain.address, chain.account.private_key_hex) as other:
        for client in (chain, other, chain, chain, other):
            client.send(NOTHING)


def test_a_wrong_key_is_refused(chain: Chain) -> None:
    with (
        Chain(chain.access_node, chain.address, f"{1:064x}") as stranger,
        pytest.raises(ChainError, match="signature"),
    ):
        stranger.send(NOTHING)


def test_an_access_node_that_is_not_there_is_named() -> None:
    with (
        Chain("127.0.0.1:1", "0x01", f"{1:064x}") as chain,
        pytest.raises(ChainError, match=r"cannot reach the access node 127\.0\.0\.1:1"),
    ):
        chain.latest_height()


def test_a_key_is_not_printed(chain: Chain) -> None:
    assert chain.account.private_key_hex not in repr(chain.account)


def test_deploying_again_keeps_the_balances(chain: Chain, contract_address: str) -> None:
    user = new_address()
    seed_balances(chain, {user: 5})

    again = deploy_overflow_game(chain.access_node, chain.address, chain.account.private_key_hex)

    assert again == contract_address
    code = read_cadence("scripts/get_user_balance.cdc", {"OverflowGame": contract_address})
    assert chain.run_script(code, [address(user)]) == 5


def test_seeding_adds_to_every_balance_and_reports_progress(
    chain: Chain, contract_address: str
) -> None:
    users = [new_address() for _ in range(5)]
    reports: list[tuple[int, int]] = []

    seed_balances(chain, dict.fromkeys(users, 1))
    seed_balances(
        chain,
        {user: number for number, user in enumerate(users)},
        lambda done, total: reports.append((done, total)),
        users_per_transaction=3,
    )

    code = read_cadence("scripts/get_user_balances.cdc", {"OverflowGame": contract_address})
    answer = chain.run_script(code, [array(address(user) for user in users)])
    assert answer == [1, 2, 3, 4, 5]
    assert reports == [(3, 4), (4, 4)]


def test_seeding_more_than_the_account_owns_credits_nobody(
    chain: Chain, contract_address: str
) -> None:
    user = new_address()

    with pytest.raises(ChainTransactionError):
        seed_balances(chain, {user: UFIX64_MAX_UNITS})

    code = read_cadence("scripts/get_user_balance.cdc", {"OverflowGame": contract_address})
    assert chain.run_script(code, [address(user)]) == 0


def test_seeding_a_transaction_that_fails_is_an_error(chain: Chain) -> None:
    users = {new_address(): 1 for _ in range(10_000)}

    with pytest.raises(ChainTransactionError, match="computation exceeds limit"):
        seed_balances(chain, users | {new_address(): 1}, users_per_transaction=10_000)
