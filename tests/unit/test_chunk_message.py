import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.chunk_message import CHUNK_NO_MAX, decode, encode
from shared.core.errors import InvalidMessage
from shared.core.run import ChunkRef, Phase

RUN_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
GOOD = {"schema": 1, "run_id": RUN_ID, "phase": "scan", "chunk_no": 7}
REFS = st.builds(
    ChunkRef,
    run_id=st.uuids(),
    phase=st.sampled_from(Phase),
    chunk_no=st.integers(0, CHUNK_NO_MAX),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(REFS)
def test_what_was_encoded_is_decoded(ref: ChunkRef) -> None:
    assert decode(encode(ref)) == ref


def test_the_form_on_the_wire_stays_as_it_is() -> None:
    """Messages of this form may be waiting in a queue."""
    ref = ChunkRef(UUID(RUN_ID), Phase.CORRECT, 7)
    assert json.loads(encode(ref)) == GOOD | {"phase": "correct"}


def test_a_field_that_schema_1_does_not_have_is_ignored() -> None:
    assert decode(json.dumps(GOOD | {"sent_by": "tick"})) == ChunkRef(UUID(RUN_ID), Phase.SCAN, 7)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("schema", "1"),
        ("schema", True),
        ("schema", 1.0),
        ("run_id", RUN_ID[:-1]),
        ("run_id", ""),
        ("run_id", None),
        ("run_id", 7),
        ("run_id", [RUN_ID]),
        ("phase", "review"),
        ("phase", "SCAN"),
        ("phase", None),
        ("phase", ["scan"]),
        ("chunk_no", -1),
        ("chunk_no", CHUNK_NO_MAX + 1),
        ("chunk_no", "7"),
        ("chunk_no", 7.0),
        ("chunk_no", True),
        ("chunk_no", None),
        ("chunk_no", float("nan")),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(field: str, value: object) -> None:
    assert_refused(json.dumps(GOOD | {field: value}), field)


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_named(field: str) -> None:
    message = {name: value for name, value in GOOD.items() if name != field}
    assert_refused(json.dumps(message), f"{field} is missing")


def test_of_another_schema_nothing_else_is_looked_at() -> None:
    assert_refused('{"schema": 2}', "schema is 2, not 1")


@pytest.mark.parametrize(
    "body", ["", "{", "chunk 7", "[" * 200_000, '{"schema": ' + "9" * 5_000 + "}"]
)
def test_what_is_no_json_is_refused(body: str) -> None:
    assert_refused(body, "is not JSON")


@pytest.mark.parametrize("body", ["null", "1", '"scan"', "[]", json.dumps([GOOD])])
def test_json_that_is_no_object_is_refused(body: str) -> None:
    assert_refused(body, "is not a JSON object")


def test_control_characters_of_a_message_do_not_reach_the_log() -> None:
    error = assert_refused(json.dumps(GOOD | {"phase": "\x1b[2J\n" * 100}), "phase")
    assert str(error).isprintable()
    assert len(str(error)) < 200


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("depth", range(900, 1000, 3))
def test_a_value_nested_as_deeply_as_json_can_be_read_is_refused(field: str, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    body = json.dumps(GOOD | {field: "nested"}).replace('"nested"', nested)
    with pytest.raises(InvalidMessage):
        decode(body)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON))
def test_any_json_is_a_chunk_or_refused(changes: dict[str, object]) -> None:
    try:
        ref = decode(json.dumps(GOOD | changes))
    except InvalidMessage:
        return
    assert decode(encode(ref)) == ref


def assert_refused(body: str, fault: str) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        decode(body)
    assert fault in caught.value.fault
    assert caught.value.remedy
    assert (caught.value.code, caught.value.retryable) == ("invalid_message", False)
    return caught.value
