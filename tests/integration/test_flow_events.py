"""The events of OverflowGame on a real emulator: whom they name, in which blocks."""

from collections.abc import Iterator

import pytest

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_events import FlowEvents
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.system_clock import SystemClock
from shared.adapters.unpaced import Unpaced
from shared.core.address import parse_address
from shared.core.chain_event import event_types
from shared.core.errors import ContractBadAnswer, ContractError, ContractHeightUnavailable
from shared.services.changed_users import ChangedUsers
from tests.conftest import new_address, new_addresses
from tests.integration.test_cadence_contract import FLOW, Game
from tools.chain import Chain
from tools.chain.seed import seed_balances
from tools.stack import Stack

NAMES = ("Deposited", "Withdrawn", "Settled")


@pytest.fixture(scope="module")
def channel(stack: Stack) -> Iterator[FlowChannel]:
    channel = FlowChannel(
        access_node=stack.access_node, loop=shared_loop_thread(), timeout_s=30, tls=False
    )
    yield channel
    channel.close()


@pytest.fixture
def events(channel: FlowChannel, contract_address: str) -> FlowEvents:
    return events_of(channel, contract_address)


@pytest.fixture
def game(chain: Chain, contract_address: str) -> Game:
    return Game(chain, contract_address)


def events_of(
    channel: FlowChannel,
    contract_address: str,
    names: tuple[str, ...] = NAMES,
    user_field: str = "userAddress",
) -> FlowEvents:
    types = event_types(names, contract="OverflowGame", address=parse_address(contract_address))
    pace = Unpaced()
    return FlowEvents(channel, pace, types=types, user_field=user_field)


def seal_blocks(chain: Chain, count: int) -> None:
    """Blocks in which nothing of the game happens."""
    for _ in range(count):
        chain.submit("transaction {}")


def test_a_deposit_names_its_user(game: Game, events: FlowEvents) -> None:
    user, height = new_address(), game.chain.latest_height()

    game.deposit(user, 5 * FLOW)

    assert events.users_changed(height + 1, game.chain.latest_height()) == {user}


def test_a_withdrawal_names_its_user(game: Game, events: FlowEvents) -> None:
    player = game.new_player(5 * FLOW)
    height = game.chain.latest_height()

    game.withdraw(player, 2 * FLOW)

    assert events.users_changed(height + 1, game.chain.latest_height()) == {player.address}


def test_a_settlement_names_both_sides(game: Game, events: FlowEvents) -> None:
    loser, winners = new_address(), new_addresses(3)
    game.deposit(loser, 3 * FLOW)
    height = game.chain.latest_height()

    game.settle({loser: 3 * FLOW}, dict.fromkeys(winners, FLOW))

    changed = events.users_changed(height + 1, game.chain.latest_height())
    assert changed == {loser, *winners}


def test_thousands_of_events_in_one_block(chain: Chain, events: FlowEvents) -> None:
    users, height = new_addresses(2_500), chain.latest_height()

    seed_balances(chain, dict.fromkeys(users, 7))

    assert events.users_changed(height + 1, chain.latest_height()) == {chain.address, *users}


def test_only_the_events_that_were_asked_for_count(
    game: Game, channel: FlowChannel, contract_address: str
) -> None:
    loser, winner, height = new_address(), new_address(), game.chain.latest_height()
    game.deposit(loser, FLOW)
    game.settle({loser: FLOW}, {winner: FLOW})
    heights = height + 1, game.chain.latest_height()

    for names, users in [
        (("Deposited",), {loser}),
        (("Settled",), {loser, winner}),
        (("Withdrawn", "Nonexistent"), set()),
    ]:
        assert events_of(channel, contract_address, names).users_changed(*heights) == users


def test_both_ends_of_a_range_are_part_of_it(game: Game, events: FlowEvents) -> None:
    users, heights = new_addresses(3), []
    for user in users:
        game.deposit(user, FLOW)
        heights.append(game.chain.latest_height())
        seal_blocks(game.chain, 1)
    first, middle, last = heights

    assert events.users_changed(first, last) == set(users)
    assert events.users_changed(first + 1, last - 1) == {users[1]}
    assert events.users_changed(middle, middle) == {users[1]}
    assert events.users_changed(first + 1, first + 1) == set()


def test_the_first_block_of_the_chain_names_nobody(events: FlowEvents) -> None:
    assert events.users_changed(0, 0) == set()


def test_a_block_that_is_not_there_yet_may_be_asked_for_again(
    game: Game, events: FlowEvents
) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    height = game.chain.latest_height()

    for heights in [(height + 1, height + 1), (height, height + 1), (0, height + 100_000)]:
        with pytest.raises(ContractHeightUnavailable):
            events.users_changed(*heights)

    seal_blocks(game.chain, 1)
    assert events.users_changed(height, height + 1) == {user}


def test_a_field_that_the_event_does_not_have_is_named(
    game: Game, channel: FlowChannel, contract_address: str
) -> None:
    game.deposit(new_address(), FLOW)
    height = game.chain.latest_height()

    for field in ("player", "amount"):
        events = events_of(channel, contract_address, user_field=field)
        with pytest.raises(ContractBadAnswer, match=rf"OverflowGame\.Deposited .* field {field}"):
            events.users_changed(height, height)


def test_an_event_type_that_the_node_refuses(channel: FlowChannel) -> None:
    events = FlowEvents(channel, Unpaced(), types=[""], user_field="userAddress")

    with pytest.raises(ContractError, match=r"invalid event type\. Check FLOW_EVENTS"):
        events.users_changed(0, 0)


def test_many_blocks_are_read_range_by_range(
    game: Game, events: FlowEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The emulator takes 0.1 s for a block.
    monkeypatch.setattr("shared.services.changed_users.EVENT_BLOCKS_MAX", 20)
    users, before = new_addresses(3), game.chain.latest_height()
    for user in users:
        game.deposit(user, FLOW)
        seal_blocks(game.chain, 20)
    height = game.chain.latest_height()
    assert height - before == 3 * 21

    changed = ChangedUsers(events, SystemClock())

    assert changed.since(before + 1, height) == set(users)
    assert changed.since(before + 22, height) == set(users[1:])
    assert changed.since(height + 1, height) == set()
