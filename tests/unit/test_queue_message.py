"""What the queue carries: chunks, and users."""

import json
from typing import Any

import pytest

from shared.core.errors import InvalidMessage
from shared.core.queue_message import decode, encode
from shared.core.run import ChunkRef, Phase
from shared.core.user_batch import BATCH_USERS_MAX, HEIGHT_MAX, UserBatch
from tests.unit.runs import RUN_ID
from tests.unit.users import user

GOOD = {
    "schema": 1,
    "kind": "users",
    "block_height": 7,
    "users": [user(1), user(2)],
    "admin": "indexer",
}


def batch(users: int = 2, block_height: int = 7) -> UserBatch:
    return UserBatch(
        user_addresses=tuple(user(number) for number in range(1, users + 1)),
        block_height=block_height,
        admin_address="indexer",
    )


def test_users_come_back_as_they_were_sent() -> None:
    assert json.loads(encode(batch())) == GOOD
    assert decode(encode(batch())) == batch()
    assert decode(encode(batch(BATCH_USERS_MAX, HEIGHT_MAX))) == batch(BATCH_USERS_MAX, HEIGHT_MAX)


def test_a_message_without_a_kind_names_a_chunk() -> None:
    chunk = ChunkRef(RUN_ID, Phase.CORRECT, 3)
    assert decode(encode(chunk)) == chunk


def test_ten_messages_of_the_largest_size_fit_into_one_call_of_sqs() -> None:
    largest = encode(batch(BATCH_USERS_MAX, HEIGHT_MAX))
    assert 10 * len(largest) < 256 * 1024


def test_addresses_are_brought_to_normal_form_and_named_once() -> None:
    upper = user(1)[2:].upper()
    assert decode(json.dumps(GOOD | {"users": [upper, user(1), user(2)]})) == batch()


def test_fields_that_it_does_not_know_are_ignored() -> None:
    assert decode(json.dumps(GOOD | {"sent_by": "webhook"})) == batch()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schema": 2}, "schema is 2"),
        ({"kind": "vault"}, "kind is 'vault'"),
        ({"kind": None}, "kind is None"),
        ({"users": []}, "users is an object or an array"),
        ({"users": "0x1"}, "users is '0x1'"),
        ({"users": [user(1), 7]}, "users has 7"),
        ({"users": [user(1) + "0"]}, "users has '0x"),
        ({"users": [user(1)] * (BATCH_USERS_MAX + 1)}, "users is"),
        ({"block_height": "7"}, "block_height is '7'"),
        ({"block_height": True}, "block_height is True"),
        ({"block_height": -1}, "block_height is -1"),
        ({"block_height": 2**63}, "block_height is 9223372036854775808"),
        ({"admin": " "}, "admin is ' '"),
        ({"admin": 1}, "admin is 1"),
    ],
)
def test_what_is_no_such_message_is_refused_by_name(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidMessage, match=f"^{fault}"):
        decode(json.dumps(GOOD | changes))


@pytest.mark.parametrize("name", ["users", "block_height", "admin"])
def test_every_field_is_needed(name: str) -> None:
    message = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(InvalidMessage, match=f"^{name} is missing"):
        decode(json.dumps(message))
