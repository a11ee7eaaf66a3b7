"""One user as both sides know them now."""

from collections.abc import Mapping

import pytest

from shared.core.amount import SMALLEST, FlowAmount
from shared.core.errors import ContractUnreachable, InvalidAddress
from shared.core.policy import Policy
from shared.services.user_view import UserLookup, UserView
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_user_reader import FakeUserReader
from tests.unit.users import user
from tests.unit.worlds import World

UNREACHABLE = ContractUnreachable("the node is down", remedy="Start it.")


def lookup_of(world: World, tolerance: int = SMALLEST) -> UserLookup:
    policy = Policy(tolerance=FlowAmount(tolerance))
    return UserLookup(FakeUserReader(world.ledger), world.reader, world.clock, policy)


def viewed(
    ledger: Mapping[str, int | str | None], contract: Mapping[str, int], asked: str = user(1)
) -> UserView:
    return lookup_of(World(ledger, contract)).find(asked)


def test_both_sides_at_a_named_height() -> None:
    view = viewed({user(1): 10}, {user(1): 12})
    assert (view.ledger_balance, view.contract_balance, view.discrepancy) == (10, 12, 2)
    assert (view.block_height, view.in_sync) == (FIRST_HEIGHT, False)


def test_the_fence_is_the_rows() -> None:
    world = World({user(1): 10}, {user(1): 12})
    world.reconcile(user(1))
    world.ledger.apply_event(user(1), 5, FIRST_HEIGHT + 7, "event")
    row = lookup_of(world).find(user(1)).row
    assert row is not None
    assert (row.reconciled_height, row.event_height) == (FIRST_HEIGHT, FIRST_HEIGHT + 7)


def test_a_difference_below_the_tolerance_is_in_sync() -> None:
    world = World({user(1): 10}, {user(1): 12})
    assert lookup_of(world, tolerance=3).find(user(1)).in_sync is True
    assert lookup_of(world, tolerance=2).find(user(1)).in_sync is False


def test_the_address_is_normalised_and_the_row_found_as_it_is_spelt() -> None:
    stored = user(1).upper().replace("0X", "")
    view = viewed({stored: 10}, {user(1): 10}, asked=user(1)[2:])
    assert (view.user_address, view.key) == (user(1), stored)
    assert view.in_sync is True


def test_of_two_spellings_the_one_asked_for_is_shown_and_the_other_named() -> None:
    other = user(1)[2:]
    view = viewed({user(1): 10, other: 3}, {user(1): 10}, asked=other)
    assert (view.ledger_balance, view.also_stored_as) == (3, (user(1),))
    assert viewed({user(1): 10, other: 3}, {user(1): 10}).also_stored_as == (other,)


def test_who_is_not_in_the_ledger_still_has_a_contract_balance() -> None:
    view = viewed({}, {user(1): 7})
    assert (view.row, view.key) == (None, user(1))
    assert (view.ledger_balance, view.discrepancy) == (None, 7)


@pytest.mark.parametrize("stored", [None, "NaN"])
def test_a_stored_balance_that_is_no_amount_is_not_compared(stored: str | None) -> None:
    view = viewed({user(1): stored}, {user(1): 7})
    assert view.row is not None
    assert (view.row.balance, view.ledger_balance, view.discrepancy) == (stored, None, None)
    assert view.in_sync is None


def test_an_outage_of_the_contract_is_told_and_is_no_zero() -> None:
    world = World({user(1): 10}, {user(1): 12})
    world.contract.fail_next_height(UNREACHABLE, times=9)
    view = lookup_of(world).find(user(1))
    assert view.contract_error is UNREACHABLE
    assert (view.ledger_balance, view.contract_balance, view.discrepancy) == (10, None, None)


def test_a_user_whose_query_fails_has_that_error() -> None:
    world = World({user(1): 10}, {user(1): 12})
    world.contract.panic_for([user(1)])
    view = lookup_of(world).find(user(1))
    assert view.contract_error is not None
    assert view.contract_error.code == "contract_query_failed"
    assert (view.contract_balance, view.block_height) == (None, FIRST_HEIGHT)


def test_a_key_that_is_no_address_is_shown_without_the_contract() -> None:
    view = viewed({"odd key": 10}, {}, asked="odd key")
    assert (view.key, view.user_address, view.ledger_balance) == ("odd key", "odd key", 10)
    assert isinstance(view.contract_error, InvalidAddress)
    assert view.in_sync is None


def test_what_is_neither_an_address_nor_a_key_is_refused() -> None:
    with pytest.raises(InvalidAddress):
        viewed({}, {}, asked="0x12")
