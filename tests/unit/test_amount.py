import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.amount import (
    UFIX64_MAX,
    FlowAmount,
    format_amount,
    parse_amount,
)
from shared.core.errors import InvalidInput

MAX_TEXT = "184467440737.09551615"


@given(st.integers(-(10**20), 10**20))
def test_every_amount_survives_its_text(units: int) -> None:
    text = format_amount(FlowAmount(units))
    assert parse_amount(text) == units
    assert len(text.partition(".")[2]) == 8


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("0.00000001", 1),
        (MAX_TEXT, 2**64 - 1),
        ("-0.00000001", -1),
        ("-0", 0),
        ("12.5", 1_250_000_000),
        ("007.50", 750_000_000),
        ("1.000000010000", 100_000_001),
        ("90071992.54740993", 2**53 + 1),
    ],
)
def test_reads_decimals_exactly(text: str, units: int) -> None:
    assert parse_amount(text) == units


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0.00000000"),
        (1, "0.00000001"),
        (-1, "-0.00000001"),
        (-150_000_000, "-1.50000000"),
        (UFIX64_MAX, MAX_TEXT),
    ],
)
def test_writes_eight_places(units: int, text: str) -> None:
    assert format_amount(FlowAmount(units)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1.",
        ".5",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "1,5",
        "1 ",
        " 1",
        "1\n",
        "0x10",
        "--1",
        "١٢",
        "1_000",
        "1" * 31,
        "1.0.0",
        "－1",
    ],
)
def test_rejects_what_is_no_plain_decimal(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a decimal number"):
        parse_amount(text)


@pytest.mark.parametrize("text", ["0.000000001", "1.123456789", "-0.0000000010"])
def test_rejects_what_is_finer_than_the_smallest_unit(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"finer than 0\.00000001 FLOW"):
        parse_amount(text)


def test_a_rejection_names_the_field_and_cuts_long_text() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_amount("x" * 1000, field="the ledger's balance")
    assert caught.value.fault.startswith("the ledger's balance")
    assert len(str(caught.value)) < 200
