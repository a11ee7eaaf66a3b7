"""Arguments and results in JSON-Cadence, the format of Flow's Access API.

Amounts are integers of 1e-8 in both directions. The SDK's own UFix64 writes itself through a float
division, which is wrong above 2^53 units, so arguments are written here.
"""

from collections.abc import Iterable, Mapping
from typing import Any

JsonCadence = dict[str, Any]

UNITS_PER_FLOW = 10**8
UFIX64_MAX_UNITS = 2**64 - 1

_PLAIN = frozenset({"String", "Character", "Bool", "Address", "Void"})
_COMPOSITES = frozenset({"Struct", "Resource", "Event", "Contract", "Enum"})


def ufix64(units: int) -> JsonCadence:
    """A UFix64 from an integer of 1e-8; ValueError outside 0 … 2^64 - 1."""
    if not 0 <= units <= UFIX64_MAX_UNITS:
        raise ValueError(f"a UFix64 holds 0 to {UFIX64_MAX_UNITS} units of 1e-8, not {units}")
    whole, fraction = divmod(units, UNITS_PER_FLOW)
    return {"type": "UFix64", "value": f"{whole}.{fraction:08d}"}


def address(value: str) -> JsonCadence:
    """An Address from up to 16 hex digits, with or without 0x; ValueError for anything else."""
    return {"type": "Address", "value": normal_address(value)}


def normal_address(value: str) -> str:
    """`0x` and 16 lower-case hex digits; ValueError when the text is no such number."""
    number = int(value, 16)
    if not 0 <= number < 2**64:
        raise ValueError(f"an address has 8 bytes, not {value!r}")
    return f"0x{number:016x}"


def string(value: str) -> JsonCadence:
    """A String."""
    return {"type": "String", "value": value}


def boolean(value: bool) -> JsonCadence:
    """A Bool."""
    return {"type": "Bool", "value": value}


def array(values: Iterable[JsonCadence]) -> JsonCadence:
    """An array of values that are encoded already."""
    return {"type": "Array", "value": list(values)}


def amounts_by_address(units_by_address: Mapping[str, int]) -> JsonCadence:
    """A `{Address: UFix64}` from integers of 1e-8."""
    pairs = [
        {"key": address(key), "value": ufix64(units)} for key, units in units_by_address.items()
    ]
    return {"type": "Dictionary", "value": pairs}


def decode(node: JsonCadence) -> Any:
    """A value as plain Python.

    UFix64 and Fix64 become integers of 1e-8, other numbers int, an Address its text, an Optional
    None or its value, an array a list, a dictionary a dict, and a composite (struct, event, …) a
    dict of its fields.
    """
    kind: str = node["type"]
    # Void has no value.
    value: Any = node.get("value")
    if kind in _PLAIN:
        return value
    if kind in ("UFix64", "Fix64"):
        return _units(value)
    if kind == "Optional":
        return None if value is None else decode(value)
    if kind == "Array":
        return [decode(item) for item in value]
    if kind == "Dictionary":
        return {decode(item["key"]): decode(item["value"]) for item in value}
    if kind in _COMPOSITES:
        return {field["name"]: decode(field["value"]) for field in value["fields"]}
    if kind.startswith(("Int", "UInt", "Word")):
        return int(value)
    raise ValueError(f"cannot decode a Cadence value of type {kind}")


def _units(text: str) -> int:
    whole, _, fraction = text.partition(".")
    units = int(whole.lstrip("-")) * UNITS_PER_FLOW + int(fraction.ljust(8, "0"))
    return -units if whole.startswith("-") else units
