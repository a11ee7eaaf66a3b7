"""The contract's events: their type ids, and whom one names."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared.core.address import FlowAddress, normal_form


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEvent:
    """One event as a node gives it. `payload` is JSON-Cadence, `transaction_id` hexadecimal."""

    type: str
    payload: bytes
    block_height: int
    transaction_id: str
    transaction_index: int
    event_index: int


def event_types(names: Iterable[str], *, contract: str, address: FlowAddress) -> tuple[str, ...]:
    """Type ids as `A.f8d6e0586b0a20c7.OverflowGame.Deposited`, each once.

    A name without a dot is an event of `contract` at `address`; any other is a type id already.
    """
    ids = (name if "." in name else f"A.{address[2:]}.{contract}.{name}" for name in names)
    return tuple(dict.fromkeys(ids))


def user_of(payload: bytes | str | dict[str, Any], *, event_type: str, field: str) -> FlowAddress:
    """The address in a field of a JSON-Cadence event.

    Raises ValueError for another event, without that field or with anything else in it.
    """
    try:
        event = payload if isinstance(payload, dict) else json.loads(payload)
        if event["type"] != "Event" or event["value"]["id"] != event_type:
            raise ValueError("not the event that was asked for")
        fields = {each["name"]: each["value"] for each in event["value"]["fields"]}
        return _address(fields[field])
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError("not a JSON-Cadence event") from error


def _address(value: dict[str, Any]) -> FlowAddress:
    address = normal_form(value["value"]) if value["type"] == "Address" else None
    if address is None:
        raise ValueError("not an address")
    return address
