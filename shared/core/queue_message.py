"""What the queue carries: chunks of runs, and users that somebody named.

Users are `{"schema": 1, "kind": "users", "block_height", "users", "admin"}`; a message without a
`kind` names a chunk, see `chunk_message`.
"""

import json

from shared.core import chunk_message
from shared.core.address import FlowAddress, normal_form
from shared.core.admin import check_admin_address
from shared.core.chunk_message import SCHEMA, field, invalid, parse, read_chunk, shown
from shared.core.errors import InvalidAdmin
from shared.core.run import ChunkRef
from shared.core.user_batch import BATCH_USERS_MAX, HEIGHT_MAX, UserBatch

Message = ChunkRef | UserBatch

USERS = "users"

_FORM = '{"schema": 1, "kind": "users", "block_height": an integer, "users": […], "admin": a name}'


def encode(message: Message) -> str:
    """The message for a chunk, or for BATCH_USERS_MAX users at most."""
    if isinstance(message, ChunkRef):
        return chunk_message.encode(message)
    return json.dumps(
        {
            "schema": SCHEMA,
            "kind": USERS,
            "block_height": message.block_height,
            "users": message.user_addresses,
            "admin": message.admin_address,
        }
    )


def decode(body: str) -> Message:
    """What a message names; fields that schema 1 does not have are ignored.

    Raises InvalidMessage for another schema or kind, for what is no JSON object, and for a field
    that is missing, of a wrong type or out of range.
    """
    message = parse(body)
    if "kind" not in message:
        return read_chunk(message)
    if message["kind"] != USERS:
        raise invalid(
            "kind",
            f"is {shown(message['kind'])}, not {USERS}",
            "Deploy the function that sends and the one that receives in the same version.",
        )
    return UserBatch(
        user_addresses=_users(field(message, "users", _FORM)),
        block_height=_block_height(field(message, "block_height", _FORM)),
        admin_address=_admin(field(message, "admin", _FORM)),
    )


def _users(value: object) -> tuple[FlowAddress, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= BATCH_USERS_MAX:
        raise invalid(
            "users",
            f"is {shown(value)}, not an array of 1 to {BATCH_USERS_MAX}",
            "Give that many addresses a message.",
        )
    return tuple(dict.fromkeys(_user(each) for each in value))


def _user(value: object) -> FlowAddress:
    user = normal_form(value) if isinstance(value, str) else None
    if user is None:
        raise invalid(
            "users", f"has {shown(value)}, which is no Flow address", "Give 0x and 16 hex digits."
        )
    return user


def _block_height(value: object) -> int:
    if type(value) is int and 0 <= value <= HEIGHT_MAX:  # True is an int as well
        return value
    raise invalid(
        "block_height",
        f"is {shown(value)}, not an integer from 0 to {HEIGHT_MAX}",
        "Give the height of a block.",
    )


def _admin(value: object) -> str:
    try:
        if isinstance(value, str):
            return check_admin_address(value)
    except InvalidAdmin:
        pass
    raise invalid(
        "admin", f"is {shown(value)}, which is no name", "Give who acts, for the audit row."
    )
