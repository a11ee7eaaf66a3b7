import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.address import normal_form, parse_address, spellings
from shared.core.errors import InvalidAddress

NORMAL = "0xf8d6e0586b0a20c7"
HEX16 = st.text("0123456789abcdefABCDEF", min_size=16, max_size=16)

MALFORMED = [
    "",
    "0x",
    "0xf8d6e0586b0a20c",
    "0xf8d6e0586b0a20c77",
    "0Xf8d6e0586b0a20c7",
    "0x0xf8d6e0586b0a20c7",
    " 0xf8d6e0586b0a20c7",
    "0xf8d6e0586b0a20c7\n",
    "0xg8d6e0586b0a20c7",
    "0x１８d6e0586b0a20c7",
    "0x٠8d6e0586b0a20c7",
    "0x1",
    "alice",
]


@pytest.mark.parametrize(
    "text", [NORMAL, NORMAL[2:], "0xF8D6E0586B0A20C7", "F8D6E0586B0A20C7", "0xf8D6e0586b0A20c7"]
)
def test_every_spelling_has_one_normal_form(text: str) -> None:
    assert parse_address(text) == NORMAL
    assert normal_form(text) == NORMAL


@pytest.mark.parametrize("text", MALFORMED)
def test_rejects_what_is_no_address(text: str) -> None:
    assert normal_form(text) is None
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)
    assert caught.value.code == "invalid_address"


@given(HEX16, st.sampled_from(["", "0x"]))
def test_the_normal_form_is_its_own(digits: str, prefix: str) -> None:
    address = parse_address(prefix + digits)
    assert parse_address(address) == address
    assert address == "0x" + digits.lower()


@given(st.text(max_size=40))
def test_normal_form_never_raises(text: str) -> None:
    normal = normal_form(text)
    assert normal is None or parse_address(normal) == normal


@given(HEX16)
def test_spellings_start_with_the_given_one_and_name_one_account(digits: str) -> None:
    found = spellings(digits)
    assert found[0] == digits
    assert len(set(found)) == len(found)
    assert {parse_address(each) for each in found} == {parse_address(digits)}


def test_spellings_are_the_usual_ones() -> None:
    assert spellings(NORMAL) == (NORMAL, NORMAL[2:], "0xF8D6E0586B0A20C7", "F8D6E0586B0A20C7")


def test_a_mixed_case_spelling_is_kept_beside_the_usual_ones() -> None:
    assert spellings("0xF8d6e0586b0a20c7")[:2] == ("0xF8d6e0586b0a20c7", NORMAL)


def test_spellings_of_no_address_are_refused() -> None:
    with pytest.raises(InvalidAddress):
        spellings("alice")
