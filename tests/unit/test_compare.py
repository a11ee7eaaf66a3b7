import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.address import parse_address
from shared.core.amount import UFIX64_MAX, FlowAmount, format_amount
from shared.core.compare import (
    Comparison,
    ContractBalances,
    LedgerPage,
    chain_addresses,
    compare,
)
from shared.core.errors import ContractScriptFailed
from tests.unit.users import user

A, B, C = user(1), user(2), user(3)
ONE_UNIT = FlowAmount(1)


def compare_one(ledger: str | None, contract: int, tolerance: int = 1) -> Comparison:
    truth = ContractBalances(7, {parse_address(A): FlowAmount(contract)})
    return compare(LedgerPage([A], [ledger]), truth, FlowAmount(tolerance))


@pytest.mark.parametrize("units", [0, 1, 2**53 + 1, UFIX64_MAX])
def test_equal_balances_are_in_sync(units: int) -> None:
    assert compare_one(format_amount(FlowAmount(units)), units).in_sync == 1


@pytest.mark.parametrize(
    ("ledger", "contract", "discrepancy"),
    [
        ("0.00000000", 1, 1),
        ("0.00000001", 0, -1),
        ("184467440737.09551614", UFIX64_MAX, 1),
        ("184467440737.09551615", UFIX64_MAX - 1, -1),
        ("-0.50000000", 50_000_000, 100_000_000),
        ("0.00000000", UFIX64_MAX, UFIX64_MAX),
    ],
)
def test_a_single_unit_of_difference_counts(ledger: str, contract: int, discrepancy: int) -> None:
    (candidate,) = compare_one(ledger, contract).candidates
    assert candidate.discrepancy == discrepancy
    assert candidate.block_height == 7


@pytest.mark.parametrize(("contract", "in_sync"), [(109, 1), (110, 0), (91, 1), (90, 0)])
def test_in_sync_is_strictly_below_the_tolerance(contract: int, in_sync: int) -> None:
    found = compare_one("0.00000100", contract, tolerance=10)
    assert (found.in_sync, len(found.candidates)) == (in_sync, 1 - in_sync)


@pytest.mark.parametrize("stored", [None, "NaN", "Infinity", "0.000000001", ""])
def test_a_ledger_balance_that_is_no_amount_fails_its_user(stored: str | None) -> None:
    (failure,) = compare_one(stored, 5).failures
    assert (failure.user_address, failure.error.code) == (A, "invalid_ledger_balance")


def test_a_malformed_key_fails_its_user_alone() -> None:
    page = LedgerPage([A, "alice"], ["0.00000001", "0.00000001"])
    found = compare(page, ContractBalances(7, {parse_address(A): ONE_UNIT}), ONE_UNIT)
    assert found.in_sync == 1
    assert [(each.user_address, each.error.code) for each in found.failures] == [
        ("alice", "invalid_address")
    ]


def test_a_user_who_could_not_be_read_is_a_failure_and_never_zero() -> None:
    error = ContractScriptFailed("panic", remedy="Ask.")
    contract = ContractBalances(7, {}, {parse_address(A): error})
    found = compare(LedgerPage([A], ["0.00000000"]), contract, ONE_UNIT)
    assert found.in_sync == 0
    assert [failure.error for failure in found.failures] == [error]


def test_a_key_is_looked_up_in_any_spelling_and_kept_as_stored() -> None:
    stored = [A[2:].upper(), "0x" + B[2:].upper()]
    contract = ContractBalances(7, {parse_address(A): ONE_UNIT, parse_address(B): ONE_UNIT})
    found = compare(LedgerPage(stored, ["0.00000002"] * 2), contract, ONE_UNIT)
    assert [candidate.user_address for candidate in found.candidates] == stored


def test_counts_who_has_money_and_reads_zero() -> None:
    page = LedgerPage([A, B, C], ["0.00000005", "0.00000005", "0.00000000"])
    contract = ContractBalances(
        7, {parse_address(A): FlowAmount(0), parse_address(B): ONE_UNIT, parse_address(C): ONE_UNIT}
    )
    found = compare(page, contract, ONE_UNIT)
    assert (found.funded, found.funded_reading_zero) == (2, 1)


@pytest.mark.parametrize("of_held", [0, 1, 5])
def test_who_is_held_does_not_hide_that_everybody_else_reads_zero(of_held: int) -> None:
    page = LedgerPage([A, B, C], ["0.00000005"] * 3, held=frozenset([C]))
    contract = ContractBalances(
        7,
        {
            parse_address(A): FlowAmount(0),
            parse_address(B): FlowAmount(0),
            parse_address(C): FlowAmount(of_held),
        },
    )
    found = compare(page, contract, ONE_UNIT)
    assert (found.funded, found.funded_reading_zero) == (2, 2)


def test_who_is_held_is_compared_and_no_candidate() -> None:
    page = LedgerPage([A, B], ["0.00000005", "0.00000001"], absent=[C], held=frozenset([A, B, C]))
    contract = ContractBalances(7, {parse_address(key): ONE_UNIT for key in (A, B, C)})
    found = compare(page, contract, ONE_UNIT)
    assert (found.in_sync, found.candidates, found.failures) == (1, [], [])
    assert [(each.user_address, each.discrepancy) for each in found.held] == [(A, -4), (C, 1)]
    assert [each.row_exists for each in found.held] == [True, False]


def test_asks_for_each_account_once_and_for_no_malformed_key() -> None:
    page = LedgerPage([A, A[2:], "alice", B], [None] * 4)
    assert chain_addresses(page) == [A, B]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)).map(lambda pair: pair), max_size=20),
    st.integers(1, 5),
)
def test_every_row_is_counted_once(rows: list[tuple[int, int]], tolerance: int) -> None:
    keys = [user(number) for number in range(len(rows))]
    page = LedgerPage(keys, [format_amount(FlowAmount(ledger)) for ledger, _ in rows])
    truth = {
        parse_address(key): FlowAmount(units) for key, (_, units) in zip(keys, rows, strict=True)
    }
    found = compare(page, ContractBalances(7, truth), FlowAmount(tolerance))
    assert found.in_sync + len(found.candidates) + len(found.failures) == len(rows)
    assert all(abs(each.discrepancy) >= tolerance for each in found.candidates)
