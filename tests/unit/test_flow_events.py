"""The events adapter over a real gRPC channel, with a node that answers what a test wants."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grpclib import GRPCError, Status

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_events import FlowEvents, decode_user
from shared.adapters.loop_thread import shared_loop_thread
from shared.core.address import FlowAddress
from shared.core.chain_event import event_types
from shared.core.errors import ContractBadAnswer, ContractError, ContractHeightUnavailable
from tests.fakes.fake_access_node import FakeAccessNode, event_payload
from tests.unit.users import user

HOME = FlowAddress("0xf8d6e0586b0a20c7")
DEPOSITED = "A.f8d6e0586b0a20c7.OverflowGame.Deposited"
WITHDRAWN = "A.f8d6e0586b0a20c7.OverflowGame.Withdrawn"
FIELD = "userAddress"


class CountedPace:
    """Implements the port `Pace`."""

    def __init__(self) -> None:
        self.turns = 0

    def wait(self) -> None:
        self.turns += 1


def named(event_type: str, value: Any, kind: str = "Address") -> bytes:
    amount = ("UFix64", "1.00000000")
    return event_payload(event_type, {"amount": amount, FIELD: (kind, value), "newBalance": amount})


@pytest.fixture
def node() -> FakeAccessNode:
    return FakeAccessNode(held=range(100, 111))


@pytest.fixture
def pace() -> CountedPace:
    return CountedPace()


@pytest.fixture
def events(node: FakeAccessNode, pace: CountedPace) -> Iterator[FlowEvents]:
    with node.serve() as access_node:
        channel = FlowChannel(
            access_node=access_node, loop=shared_loop_thread(), timeout_s=10, tls=False
        )
        yield FlowEvents(channel, pace, types=[DEPOSITED, WITHDRAWN], user_field=FIELD)
        channel.close()


# -- what is asked ----------------------------------------------------------------------------


def test_a_name_is_an_event_of_the_contract() -> None:
    names = ["Deposited", "Withdrawn"]
    assert event_types(names, contract="OverflowGame", address=HOME) == (DEPOSITED, WITHDRAWN)


def test_a_type_id_is_taken_as_it_is_and_asked_for_once() -> None:
    other = "A.0000000000000001.Bank.Moved"
    names = [other, "Deposited", DEPOSITED]
    assert event_types(names, contract="OverflowGame", address=HOME) == (other, DEPOSITED)


def test_each_event_type_is_one_call_of_the_whole_range(
    node: FakeAccessNode, pace: CountedPace, events: FlowEvents
) -> None:
    events.users_changed(101, 109)
    assert node.calls == [(DEPOSITED, 101, 109), (WITHDRAWN, 101, 109)]
    assert pace.turns == 2


def test_no_blocks_are_no_call(node: FakeAccessNode, events: FlowEvents) -> None:
    assert events.users_changed(101, 100) == set()
    assert node.calls == []


# -- what is answered -------------------------------------------------------------------------


def test_everyone_whom_an_event_names_is_told_once(
    node: FakeAccessNode, events: FlowEvents
) -> None:
    node.emit(DEPOSITED, 100, named(DEPOSITED, user(1)))
    node.emit(DEPOSITED, 110, named(DEPOSITED, user(2)))
    node.emit(DEPOSITED, 110, named(DEPOSITED, user(3)))
    node.emit(WITHDRAWN, 105, named(WITHDRAWN, user(1)))
    assert events.users_changed(100, 110) == {user(1), user(2), user(3)}


def test_only_the_blocks_asked_for_count(node: FakeAccessNode, events: FlowEvents) -> None:
    for height in range(100, 111):
        node.emit(DEPOSITED, height, named(DEPOSITED, user(height)))
    assert events.users_changed(103, 104) == {user(103), user(104)}
    assert events.users_changed(110, 110) == {user(110)}


def test_blocks_without_events_name_nobody(events: FlowEvents) -> None:
    assert events.users_changed(100, 110) == set()


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        (range(100, 110), 110),
        (range(101, 111), 100),
        ([100, 101, 103, 104, *range(105, 111)], 102),
        ([], 100),
    ],
)
def test_an_answer_that_leaves_out_a_block_is_none(
    node: FakeAccessNode, events: FlowEvents, held: list[int], missing: int
) -> None:
    node.held = held
    with pytest.raises(ContractHeightUnavailable, match=f"block {missing}"):
        events.users_changed(100, 110)


BAD = [
    b"",
    b"x",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"{}",
    b'{"type":"Event","value":null}',
    b'{"type":"Event","value":{"id":"' + DEPOSITED.encode() + b'","fields":[null]}}',
    b'{"type":"Event","value":{"id":"' + DEPOSITED.encode() + b'","fields":{}}}',
    event_payload(DEPOSITED, {}),
    event_payload(DEPOSITED, {"who": ("Address", user(1))}),
    named(WITHDRAWN, user(1)),
    named(DEPOSITED, user(1)).replace(b'"Event"', b'"Struct"'),
    named(DEPOSITED, "0x01"),
    named(DEPOSITED, user(1) + " "),
    named(DEPOSITED, None),
    named(DEPOSITED, 1),
    named(DEPOSITED, [user(1)]),
    named(DEPOSITED, user(1), "String"),
    named(DEPOSITED, {"type": "Address", "value": user(1)}, "Optional"),
]


@pytest.mark.parametrize("payload", BAD)
def test_an_event_that_does_not_name_its_user_is_never_left_out(
    node: FakeAccessNode, events: FlowEvents, payload: bytes
) -> None:
    node.emit(DEPOSITED, 104, named(DEPOSITED, user(1)))
    node.emit(DEPOSITED, 104, payload)
    with pytest.raises(ContractBadAnswer) as caught:
        events.users_changed(100, 110)
    for told in (DEPOSITED, FIELD, "FLOW_EVENT_USER_FIELD"):
        assert told in str(caught.value)


def test_the_field_is_found_wherever_it_stands() -> None:
    fields = {"a": ("Address", user(8)), "player": ("Address", user(9)), "b": ("Bool", True)}
    payload = event_payload(DEPOSITED, fields)
    assert decode_user(payload, event_type=DEPOSITED, user_field="player") == user(9)


def test_an_address_is_brought_to_normal_form() -> None:
    payload = named(DEPOSITED, user(10).upper().replace("X", "x"))
    assert user(10) not in json.dumps(payload.decode())
    assert decode_user(payload, event_type=DEPOSITED, user_field=FIELD) == user(10)


# -- what fails -------------------------------------------------------------------------------


def test_a_node_that_refuses_is_told_with_its_words(
    node: FakeAccessNode, events: FlowEvents
) -> None:
    node.error = GRPCError(
        Status.INVALID_ARGUMENT, "requested block range (251) exceeded maximum (250)"
    )
    with pytest.raises(ContractError, match=r"range \(251\) exceeded maximum \(250\)") as caught:
        events.users_changed(100, 350)
    assert (caught.value.code, caught.value.retryable) == ("contract_error", False)


def test_a_height_that_the_node_has_pruned_may_be_there_on_another(
    node: FakeAccessNode, events: FlowEvents
) -> None:
    node.error = GRPCError(Status.NOT_FOUND, "not found: block height 5 is less than 10")
    with pytest.raises(ContractHeightUnavailable):
        events.users_changed(5, 6)
    node.error = None
    assert events.users_changed(100, 101) == set()
