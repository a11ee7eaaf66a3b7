"""A webhook's body: Flow events as an indexer or the Access API gives them.

One event, a list of them, `{"events": […]}`, or the blocks of the Access API's `/v1/events`, each
with its own events; in any mixture. Of an event counts what happened (`type`), at which height and
to whom; amounts are not read, the contract is asked for them.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shared.core.address import FlowAddress
from shared.core.chain_event import user_of
from shared.core.user_batch import HEIGHT_MAX
from shared.http.problem import Problem

USERS_MAX = 10_000
"""Whom one message may name."""

Shape = TypeVar("Shape", bound=BaseModel)

Height = (
    Annotated[int, Field(ge=0, le=HEIGHT_MAX)]
    | Annotated[str, StringConstraints(pattern=r"^[0-9]{1,19}$")]
)
_HEIGHT_NAMES = AliasChoices("block_height", "blockHeight")
_FAULTS = {
    "type": ("is no event type", "Give it as a string such as A.0123456789abcdef.Game.Deposited."),
    "payload": ("is neither an object nor a string", "Give the event's JSON-Cadence."),
    "block_height": ("is no block height", "Give it as an integer or its digits."),
    "events": ("is not an array", "Give the block's events."),
}


class FlowEvent(BaseModel):
    """One event. `payload` is its JSON-Cadence, as an object, as text or as base64 of that.

    `block_height` may be left out where the block that holds the event has it. Other fields, such
    as `transaction_id`, are not read.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    type: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    payload: dict[str, Any] | str
    block_height: Height | None = Field(default=None, validation_alias=_HEIGHT_NAMES)


class EventBlock(BaseModel):
    """Events of one block, as the Access API's REST interface gives them."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    events: list[Any]
    block_height: Height | None = Field(default=None, validation_alias=_HEIGHT_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedUsers:
    """Whom the events name, each once, and the greatest of their heights.

    `events` were in the message, `ignored` of them are of no type that we know.
    """

    users: tuple[FlowAddress, ...]
    block_height: int
    events: int
    ignored: int


def read_events(value: Any, types: frozenset[str], user_field: str) -> NamedUsers:
    """Whom a body names. Raises Problem: 422 naming the field that is wrong, 413 over USERS_MAX."""
    users: dict[FlowAddress, None] = {}
    block_height = events = ignored = 0
    for place, item, height in _events(value):
        events += 1
        kind = item.get("type")
        if kind and isinstance(kind, str) and kind not in types:
            ignored += 1
            continue
        event = _checked(FlowEvent, item, place)
        own_height = _height(event.block_height, height, place)
        users[_user(event, user_field, place)] = None
        block_height = max(block_height, own_height)
    if len(users) > USERS_MAX:
        raise Problem(
            413,
            "too_many_users",
            f"The events name {len(users)} users, and {USERS_MAX} are the most of a message. "
            "Send them in several.",
        )
    return NamedUsers(users=tuple(users), block_height=block_height, events=events, ignored=ignored)


def _events(value: Any) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    """Each event with its place in the body and the height of its block, if that has one."""
    items = value if isinstance(value, list) else [value]
    for number, item in enumerate(items):
        place = f"[{number}]" if isinstance(value, list) else ""
        if not isinstance(item, dict):
            raise _wrong(place, "is not an object", "Send an event, a block of events, or a list.")
        if "events" not in item:
            yield place, item, None
            continue
        block = _checked(EventBlock, item, place)
        height = None if block.block_height is None else _height(block.block_height, None, place)
        for position, event in enumerate(block.events):
            inner = _joined(place, f"events[{position}]")
            if not isinstance(event, dict):
                raise _wrong(inner, "is not an object", "Give each event as an object.")
            yield inner, event, height


def _checked(model: type[Shape], item: dict[str, Any], place: str) -> Shape:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        name = "block_height" if name == "blockHeight" else name
        fault, remedy = _FAULTS[name]
        fault = "is missing" if first["type"] == "missing" else fault
        raise _wrong(_joined(place, name), fault, remedy) from error


def _height(own: int | str | None, of_block: int | None, place: str) -> int:
    height = of_block if own is None else int(own)
    if height is None:
        raise _wrong(
            _joined(place, "block_height"), "is missing", "Give it for the event or its block."
        )
    if height > HEIGHT_MAX:
        raise _wrong(_joined(place, "block_height"), *_FAULTS["block_height"])
    return height


def _user(event: FlowEvent, user_field: str, place: str) -> FlowAddress:
    try:
        payload = event.payload
        if isinstance(payload, str) and not payload.lstrip().startswith("{"):
            payload = base64.b64decode(payload, validate=True).decode()
        return user_of(payload, event_type=event.type, field=user_field)
    except (ValueError, binascii.Error) as error:
        raise _wrong(
            _joined(place, "payload"),
            f"is not the JSON-Cadence of this event with an address in its field {user_field}",
            "Send it as the Access API gives it, as an object, text or base64.",
        ) from error


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _wrong(field: str, fault: str, remedy: str) -> Problem:
    shown = field or "The body"
    return Problem(
        422,
        "invalid_input",
        f"{shown} {fault}. {remedy}",
        members={"errors": [{"field": shown, "fault": fault, "remedy": remedy}]},
    )
