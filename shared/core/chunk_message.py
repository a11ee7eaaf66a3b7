"""A queue's message: JSON that names one chunk, `{"schema": 1, "run_id", "phase", "chunk_no"}`.

A message may wait in the queue while another version of the code is deployed. So a changed meaning
gets a new schema number, and a number that this version does not know is refused, never guessed at.
"""

import json
from typing import Any
from uuid import UUID

from shared.core.errors import InvalidMessage
from shared.core.run import ChunkRef, Phase

SCHEMA = 1
CHUNK_NO_MAX = 2**31 - 1
"""The largest integer of the column that keeps it."""

_FORM = '{"schema": 1, "run_id": a UUID, "phase": "scan" or "correct", "chunk_no": an integer}'
_SHOWN_MAX = 60


def encode(ref: ChunkRef) -> str:
    """The message for a chunk."""
    return json.dumps(
        {
            "schema": SCHEMA,
            "run_id": str(ref.run_id),
            "phase": ref.phase.value,
            "chunk_no": ref.chunk_no,
        }
    )


def decode(body: str) -> ChunkRef:
    """The chunk that a message names; fields that schema 1 does not have are ignored.

    Raises InvalidMessage for another schema, for what is no JSON object, and for a field that is
    missing, of a wrong type or out of range.
    """
    return read_chunk(parse(body))


def read_chunk(message: dict[str, Any]) -> ChunkRef:
    """The same of a message that is parsed."""
    return ChunkRef(
        run_id=_run_id(field(message, "run_id")),
        phase=_phase(field(message, "phase")),
        chunk_no=_chunk_no(field(message, "chunk_no")),
    )


def parse(body: str) -> dict[str, Any]:
    """A message of schema 1, its fields not read yet. Raises InvalidMessage."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("the message", f"is not JSON: {shown(body)}", f"Send {_FORM}.") from error
    if not isinstance(message, dict):
        raise invalid("the message", "is not a JSON object", f"Send {_FORM}.")
    _check_schema(message)
    return message


def _check_schema(message: dict[str, Any]) -> None:
    schema = field(message, "schema")
    if type(schema) is not int or schema != SCHEMA:  # True == 1 as well
        raise invalid(
            "schema",
            f"is {shown(schema)}, not {SCHEMA}",
            "Deploy the function that sends and the one that receives in the same version.",
        )


def field(message: dict[str, Any], name: str, form: str = _FORM) -> object:
    """What a field holds. Raises InvalidMessage, which shows the `form`, when it is not there."""
    if name not in message:
        raise invalid(name, "is missing", f"Send {form}.")
    return message[name]


def _run_id(value: object) -> UUID:
    try:
        if isinstance(value, str):
            return UUID(value)
    except ValueError:
        pass
    raise invalid("run_id", f"is {shown(value)}, not a UUID", "Give the run's id as a string.")


def _phase(value: object) -> Phase:
    for phase in Phase:
        if value == phase.value:
            return phase
    known = " or ".join(Phase)
    raise invalid("phase", f"is {shown(value)}, not {known}", f"Give {known}.")


def _chunk_no(value: object) -> int:
    if type(value) is int and 0 <= value <= CHUNK_NO_MAX:  # True is an int as well
        return value
    raise invalid(
        "chunk_no",
        f"is {shown(value)}, not an integer from 0 to {CHUNK_NO_MAX}",
        "Give the number of a chunk of the run.",
    )


def invalid(field: str, fault: str, remedy: str) -> InvalidMessage:
    """What is wrong with a field, for the caller to raise."""
    return InvalidMessage(f"{field} {fault}", remedy=remedy)


def shown(value: object) -> str:
    """A short text for a value of any kind."""
    if isinstance(value, dict | list):
        return "an object or an array"  # it may be nested too deeply to be written
    text = ascii(value)  # a text may hold control characters
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"
