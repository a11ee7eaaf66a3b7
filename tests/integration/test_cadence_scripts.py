"""The scripts that the product runs, on a real emulator, against this contract and others."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.chain import Chain, ChainError
from tools.chain.json_cadence import (
    UFIX64_MAX_UNITS,
    JsonCadence,
    address,
    amounts_by_address,
    array,
    boolean,
)
from tools.chain.seed import seed_balances
from tools.chain.sources import CADENCE_ROOT, read_cadence

FIXTURES = Path(__file__).parents[1] / "cadence"
BATCH_SCRIPT = "scripts/get_user_balances.cdc"


def new_address() -> str:
    return f"0x{secrets.token_hex(8)}"


def addresses_of(users: list[str]) -> JsonCadence:
    return array(address(user) for user in users)


@pytest.fixture(scope="module")
def balances(chain: Chain) -> dict[str, int]:
    """10,000 users with balances in the contract: units of 1e-8 by address."""
    units = {new_address(): 10**6 + number for number in range(10_000)}
    seed_balances(chain, units)
    return units


@pytest.fixture
def batch(contract_address: str) -> str:
    return read_cadence(BATCH_SCRIPT, {"OverflowGame": contract_address})


@dataclass(frozen=True)
class Fixture:
    """BalanceFixture in an account of its own."""

    chain: Chain

    def set_balances(self, units_by_address: dict[str, int]) -> None:
        self._run("set_balances.cdc", amounts_by_address(units_by_address))

    def set_failing(self, users: list[str], fails: bool) -> None:
        self._run("set_failing.cdc", addresses_of(users), boolean(fails))

    def read(self, users: list[str]) -> list[int]:
        # The product's default script, made to fit a contract of another name.
        code = read_cadence(BATCH_SCRIPT, {"OverflowGame": self.chain.address})
        code = code.replace("OverflowGame", "BalanceFixture")
        return list(self.chain.run_script(code, [addresses_of(users)]))

    def _run(self, name: str, *args: JsonCadence) -> None:
        self.chain.send(read_cadence(FIXTURES / name, {"BalanceFixture": self.chain.address}), args)


@pytest.fixture
def fixture(chain: Chain) -> Iterator[Fixture]:
    account = chain.create_account()
    with Chain(chain.access_node, account.address, account.private_key_hex) as owner:
        owner.deploy_contract("BalanceFixture", read_cadence(FIXTURES / "BalanceFixture.cdc"))
        yield Fixture(owner)


def test_the_batch_answers_in_the_order_asked(
    chain: Chain, batch: str, balances: dict[str, int]
) -> None:
    users = list(balances)[:100][::-1]

    assert chain.run_script(batch, [addresses_of(users)]) == [balances[user] for user in users]


def test_the_batch_answers_a_duplicate_each_time(
    chain: Chain, batch: str, balances: dict[str, int]
) -> None:
    first, second = list(balances)[:2]

    answer = chain.run_script(batch, [addresses_of([first, second, first])])

    assert answer == [balances[first], balances[second], balances[first]]


def test_the_batch_answers_nothing_for_nobody(chain: Chain, batch: str) -> None:
    assert chain.run_script(batch, [array([])]) == []


def test_the_batch_answers_zero_for_unknown_users(
    chain: Chain, batch: str, balances: dict[str, int]
) -> None:
    known = next(iter(balances))

    answer = chain.run_script(batch, [addresses_of([new_address(), known, new_address()])])

    assert answer == [0, balances[known], 0]


def test_the_batch_reads_10_000_users_at_once(
    chain: Chain, batch: str, balances: dict[str, int]
) -> None:
    answer = chain.run_script(batch, [addresses_of(list(balances))])

    assert answer == list(balances.values())


def test_the_batch_reads_a_past_block(chain: Chain, batch: str) -> None:
    user = new_address()
    height = chain.latest_height()
    seed_balances(chain, {user: 5})

    assert chain.run_script(batch, [addresses_of([user])], height=height) == [0]
    assert chain.run_script(batch, [addresses_of([user])]) == [5]


def test_single_and_batch_agree(
    chain: Chain, contract_address: str, balances: dict[str, int]
) -> None:
    single = read_cadence("scripts/get_user_balance.cdc", {"OverflowGame": contract_address})
    user, units = next(iter(balances.items()))

    assert chain.run_script(single, [address(user)]) == units
    assert chain.run_script(single, [address(new_address())]) == 0


def test_the_vault_covers_all_users(
    chain: Chain, contract_address: str, balances: dict[str, int]
) -> None:
    code = read_cadence("scripts/get_vault_balance.cdc", {"OverflowGame": contract_address})

    answer = chain.run_script(code)

    assert answer["vaultBalance"] >= answer["totalUserBalance"] >= sum(balances.values())


def test_the_largest_balance_is_exact(fixture: Fixture) -> None:
    user = new_address()
    fixture.set_balances({user: UFIX64_MAX_UNITS})

    assert fixture.read([user]) == [UFIX64_MAX_UNITS]


def test_one_failing_user_fails_the_batch_and_is_named(fixture: Fixture) -> None:
    good, bad = new_address(), new_address()
    fixture.set_balances({good: 7, bad: 8})
    fixture.set_failing([bad], True)

    with pytest.raises(ChainError, match=f"user {bad} is set to fail"):
        fixture.read([good, bad])
    assert fixture.read([good]) == [7]

    fixture.set_failing([bad], False)
    assert fixture.read([good, bad]) == [7, 8]


def test_a_contract_without_the_function_is_an_error_that_names_it(chain: Chain) -> None:
    account = chain.create_account()
    with Chain(chain.access_node, account.address, account.private_key_hex) as owner:
        owner.deploy_contract("NoBalances", read_cadence(FIXTURES / "NoBalances.cdc"))
    code = read_cadence(BATCH_SCRIPT, {"OverflowGame": account.address})

    with pytest.raises(ChainError, match="`&NoBalances` has no member `getUserBalance`"):
        chain.run_script(code.replace("OverflowGame", "NoBalances"), [array([])])


def test_an_update_may_take_the_function_away_and_bring_it_back(chain: Chain) -> None:
    account = chain.create_account()
    source = read_cadence("contracts/OverflowGame.cdc")
    code = read_cadence(BATCH_SCRIPT, {"OverflowGame": account.address})
    with Chain(chain.access_node, account.address, account.private_key_hex) as owner:
        owner.deploy_contract("OverflowGame", source)
        owner.update_contract("OverflowGame", source.replace("getUserBalance", "readUserBalance"))
        with pytest.raises(ChainError, match="has no member `getUserBalance`"):
            owner.run_script(code, [array([])])

        owner.update_contract("OverflowGame", source)

        assert owner.run_script(code, [array([])]) == []


def test_a_missing_contract_is_an_error_that_names_it(chain: Chain) -> None:
    account = chain.create_account()
    code = read_cadence(BATCH_SCRIPT, {"OverflowGame": account.address})

    with pytest.raises(ChainError, match="cannot find declaration `OverflowGame`") as caught:
        chain.run_script(code, [array([])])
    assert caught.value.error_code == 1101


def test_only_the_import_line_of_a_script_fixes_the_contract() -> None:
    """The product replaces that line, and then the name as a whole word."""
    for script in (CADENCE_ROOT / "scripts").glob("*.cdc"):
        code = script.read_text("utf-8")
        assert code.startswith('import "OverflowGame"\n'), script.name
        assert code.count("import ") == 1, script.name
