import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.flow_contract import (
    DEFAULT_SCRIPT,
    decode_balances,
    encode_addresses,
    render_script,
)
from shared.core.amount import UFIX64_MAX, FlowAmount, format_amount
from shared.core.errors import ContractBadAnswer
from tests.unit.users import user

HOME = user(9)


def answer(*texts: str) -> bytes:
    items = [{"type": "UFix64", "value": text} for text in texts]
    return json.dumps({"type": "Array", "value": items}).encode()


def test_addresses_are_encoded_as_json_cadence() -> None:
    assert json.loads(encode_addresses([user(1), user(2)])) == {
        "type": "Array",
        "value": [
            {"type": "Address", "value": user(1)},
            {"type": "Address", "value": user(2)},
        ],
    }


def test_nobody_is_an_empty_array() -> None:
    assert json.loads(encode_addresses([])) == {"type": "Array", "value": []}
    assert decode_balances(answer()) == []


@given(st.lists(st.integers(0, UFIX64_MAX), max_size=10))
def test_balances_are_decoded_exactly(units: list[int]) -> None:
    texts = [format_amount(FlowAmount(each)) for each in units]
    assert decode_balances(answer(*texts)) == units


def test_both_ends_are_exact() -> None:
    assert decode_balances(answer("0.00000001", "184467440737.09551615")) == [1, 2**64 - 1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"String","value":"x"}',
        b'{"type":"Array","value":[{"type":"UInt64","value":"1"}]}',
        b'{"type":"Array","value":[{"type":"Fix64","value":"1.00000000"}]}',
        b'{"type":"Array","value":[{"type":"UFix64","value":"1.5000000"}]}',
        b'{"type":"Array","value":[{"type":"UFix64","value":1.5}]}',
        b'{"type":"Array","value":[{"type":"UFix64","value":"x.00000000"}]}',
        b'{"type":"Array","value":[{"type":"Optional","value":null}]}',
        b'{"type":"Array","value":[null]}',
        b'{"type":"Array","value":null}',
        b'{"type":"Array"}',
        b"\xff\xfe",
    ],
)
def test_anything_else_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(ContractBadAnswer):
        decode_balances(body)


@pytest.mark.parametrize("text", ["1", "", "1.5"])
def test_an_amount_shorter_than_its_eight_places_is_a_bad_answer(text: str) -> None:
    with pytest.raises(ContractBadAnswer):
        decode_balances(answer(text))


def test_the_default_script_is_filled_in() -> None:
    script = render_script(DEFAULT_SCRIPT.read_text("utf-8"), name="OverflowGame", address=HOME)
    assert f"import OverflowGame from {HOME}" in script
    assert 'import "' not in script


def test_another_contract_name_is_put_wherever_it_stands() -> None:
    script = render_script(DEFAULT_SCRIPT.read_text("utf-8"), name="MyGame", address=HOME)
    assert f"import MyGame from {HOME}" in script
    assert "MyGame.getUserBalance" in script
    assert "OverflowGame" not in script


def test_only_whole_words_are_renamed() -> None:
    source = "OverflowGame OverflowGames MyOverflowGame"
    rendered = render_script(source, name="G", address=HOME)
    assert rendered == "G OverflowGames MyOverflowGame"


def test_a_script_that_imports_by_address_is_left_alone() -> None:
    source = "import Vaults from 0x01\naccess(all) fun main(a: [Address]): [UFix64] { return [] }"
    assert render_script(source, name="Vaults", address=HOME) == source
