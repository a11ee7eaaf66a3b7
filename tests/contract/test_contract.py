"""One suite over the fake contract and the real one on the emulator: they cannot drift apart."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_contract import DEFAULT_SCRIPT, FlowContract, render_script
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.unpaced import Unpaced
from shared.core.address import FlowAddress, parse_address
from shared.core.amount import UFIX64_MAX
from shared.core.errors import (
    ContractHeightUnavailable,
    ContractLimitExceeded,
    ContractScriptFailed,
)
from shared.ports.contract import Contract
from shared.services.read_contract import ContractReader
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FakeContract
from tools.chain import Chain
from tools.chain.deploy import deploy_contract
from tools.chain.json_cadence import address, amounts_by_address, array, boolean
from tools.chain.sources import resolve_imports
from tools.stack import Stack

CADENCE = Path(__file__).parents[1] / "cadence"
NAME = "BalanceFixture"


def user(number: int) -> FlowAddress:
    return FlowAddress(f"0xabcdef{number:010x}")


A, B, C = user(1), user(2), user(3)


class Harness(Protocol):
    """A contract, and the hand of its owner."""

    @property
    def contract(self) -> Contract: ...
    def set(self, units_by_address: dict[str, int]) -> None: ...
    def set_failing(self, addresses: Sequence[str], fails: bool) -> None: ...


class FakeHarness:
    def __init__(self) -> None:
        self.fake = FakeContract()
        self.contract: Contract = self.fake

    def set(self, units_by_address: dict[str, int]) -> None:
        for key, units in units_by_address.items():
            self.fake.set(key, units)

    def set_failing(self, addresses: Sequence[str], fails: bool) -> None:
        changed = {parse_address(each) for each in addresses}
        self.fake.panicking = (
            self.fake.panicking | changed if fails else self.fake.panicking - changed
        )
        self.fake.seal()


class RealHarness:
    """BalanceFixture in an account of its own: it answers whatever a test wants."""

    def __init__(self, chain: Chain, contract: FlowContract) -> None:
        self.contract: Contract = contract
        self._chain = chain

    def set(self, units_by_address: dict[str, int]) -> None:
        self._send("set_balances.cdc", amounts_by_address(units_by_address))

    def set_failing(self, addresses: Sequence[str], fails: bool) -> None:
        users = array(address(each) for each in addresses)
        self._send("set_failing.cdc", users, boolean(fails))

    def _send(self, file: str, *args: object) -> None:
        code = (CADENCE / file).read_text("utf-8")
        resolved = resolve_imports(code, {NAME: self._chain.address})
        self._chain.send(resolved, args)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def on_chain(stack: Stack, chain: Chain) -> Iterator[RealHarness]:
    account = chain.create_account()
    with Chain(stack.access_node, account.address, account.private_key_hex) as owner:
        deploy_contract(owner, NAME, (CADENCE / f"{NAME}.cdc").read_text("utf-8"))
        channel = FlowChannel(
            access_node=stack.access_node, loop=shared_loop_thread(), timeout_s=30, tls=False
        )
        script = render_script(
            DEFAULT_SCRIPT.read_text("utf-8"), name=NAME, address=parse_address(owner.address)
        )
        contract = FlowContract(channel, Unpaced(), script=script)
        yield RealHarness(owner, contract)
        channel.close()


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[Harness]:
    harness: Harness = (
        FakeHarness() if request.param == "fake" else request.getfixturevalue("on_chain")
    )
    harness.set({A: 10, B: 20, C: 30})
    yield harness
    harness.set_failing([A, B, C], False)


def ask(world: Harness, *addresses: FlowAddress) -> list[int]:
    return list(world.contract.balances_at(addresses, world.contract.latest_height()))


def test_answers_one_balance_each_in_the_order_asked(world: Harness) -> None:
    assert ask(world, C, A, B) == [30, 10, 20]
    assert ask(world, B, B) == [20, 20]


def test_an_unknown_user_has_zero(world: Harness) -> None:
    assert ask(world, user(99), A) == [0, 10]


def test_nobody_is_answered_with_nothing(world: Harness) -> None:
    assert ask(world) == []


def test_both_ends_are_exact(world: Harness) -> None:
    world.set({A: 1, B: UFIX64_MAX})
    assert ask(world, A, B) == [1, UFIX64_MAX]


def test_an_older_height_keeps_its_balances(world: Harness) -> None:
    before = world.contract.latest_height()
    world.set({A: 11})
    after = world.contract.latest_height()
    assert after > before
    assert world.contract.balances_at([A], before) == [10]
    assert world.contract.balances_at([A], after) == [11]


def test_a_height_that_is_not_there_yet_may_be_asked_for_again(world: Harness) -> None:
    with pytest.raises(ContractHeightUnavailable):
        world.contract.balances_at([A], world.contract.latest_height() + 1_000_000)


def test_one_user_who_panics_fails_the_script(world: Harness) -> None:
    world.set_failing([B], True)
    with pytest.raises(ContractScriptFailed) as caught:
        ask(world, A, B, C)
    assert B in str(caught.value)
    assert ask(world, A, C) == [10, 30]


def test_a_script_for_too_many_is_too_large_and_the_contract_stays_usable(world: Harness) -> None:
    with pytest.raises(ContractLimitExceeded):
        ask(world, *(user(number) for number in range(100_000)))
    assert ask(world, A) == [10]


def test_a_reader_finds_the_user_who_panics(world: Harness) -> None:
    world.set_failing([B], True)
    reader = ContractReader(world.contract, FakeClock())
    users = [A, B, C, *(user(number) for number in range(50, 80))]
    found = reader.read(users, reader.latest_height())
    assert set(found.errors) == {B}
    assert set(found.balances) == set(users) - {B}
    assert (found.balances[A], found.balances[C]) == (10, 30)
