import pytest

from shared.core.errors import ContractUnreachable, LedgerUnreachable
from shared.core.policy import Policy
from shared.services.scan import Scan, Scanner
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.unit.users import user
from tests.unit.worlds import World


def scan(world: World, batch_size: int = 3, stop_after: int | None = None) -> Scan:
    done: list[int] = []
    scanner = Scanner(world.retrying, world.reader, Policy(batch_size=batch_size))
    return scanner.scan(
        done.append, lambda: stop_after is not None and bool(done) and done[-1] >= stop_after
    )


def in_sync(count: int) -> World:
    balances: dict[str, int] = {user(number): number for number in range(count)}
    return World(balances, balances)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 10])
def test_looks_at_everybody_once_whatever_the_page(count: int) -> None:
    world = in_sync(count)
    found = scan(world)
    assert (found.users, found.in_sync, found.candidates) == (count, count, [])
    asked = [address for _, addresses in world.contract.calls for address in addresses]
    assert sorted(asked) == [user(number) for number in range(count)]


def test_one_script_a_page_and_none_for_single_users() -> None:
    world = in_sync(10)
    scan(world, batch_size=4)
    assert [len(addresses) for _, addresses in world.contract.calls] == [4, 4, 2]


def test_finds_candidates_and_failures_and_writes_nothing() -> None:
    world = World({user(1): 5, user(2): 5, "alice": 5, user(3): None}, {user(1): 5, user(2): 6})
    found = scan(world)
    assert [each.user_address for each in found.candidates] == [user(2)]
    assert {each.user_address for each in found.failures} == {"alice", user(3)}
    assert found.counts().users == 4
    assert {method for method, _ in world.ledger.calls} == {"list_balances"}
    assert world.ledger.audit == []


def test_counts_money_that_reads_zero() -> None:
    found = scan(World({user(1): 5, user(2): 5, user(3): 0}, {user(1): 5}))
    assert (found.funded, found.funded_reading_zero) == (2, 1)


def test_remembers_the_first_and_the_last_height() -> None:
    world = in_sync(9)
    world.contract.before_script = lambda call: world.contract.seal()
    found = scan(world)
    assert found.first_height is not None
    assert found.last_height is not None
    assert found.first_height < found.last_height


def test_an_empty_ledger_has_no_heights() -> None:
    assert scan(World()).first_height is None


def test_the_height_is_taken_after_the_ledger_was_read() -> None:
    world = World({user(1): 5}, {user(1): 5})
    world.ledger.before_call = lambda method: world.contract.seal()
    found = scan(world)
    assert found.first_height is not None
    assert found.first_height > FIRST_HEIGHT


def test_stops_between_pages() -> None:
    found = scan(in_sync(30), stop_after=6)
    assert (found.users, found.interrupted) == (6, True)


def test_an_error_of_the_ledger_is_an_error_and_not_an_empty_list() -> None:
    world = in_sync(9)
    pages: list[str] = []
    world.ledger.before_call = pages.append
    world.ledger.fail_when(
        lambda method, keys: LedgerUnreachable("down", remedy="Wait.") if len(pages) > 1 else None
    )
    with pytest.raises(LedgerUnreachable):
        scan(world)


def test_an_error_of_the_contract_as_a_whole_is_an_error() -> None:
    world = in_sync(9)
    world.contract.fail_when(lambda users: ContractUnreachable("down", remedy="Wait."))
    with pytest.raises(ContractUnreachable):
        scan(world)


def test_pages_are_read_no_further_ahead_than_needed() -> None:
    world = in_sync(300)
    scan(world, stop_after=3)
    assert len(world.ledger.calls) < 12
