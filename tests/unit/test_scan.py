from collections.abc import Generator, Sequence
from uuid import UUID

import pytest

from shared.core.errors import ContractUnreachable, LedgerUnreachable, ReconcileError
from shared.core.policy import Policy
from shared.core.run import ChunkRef, Lease, Phase
from shared.ports.run_store import ScanFound
from shared.services.scan import Scanner
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.unit.users import user
from tests.unit.worlds import World

RUN = UUID(int=1)


def lease(
    number: int = 0,
    *,
    after: str | None = None,
    through: str | None = None,
    named: Sequence[str] | None = None,
) -> Lease:
    return Lease(
        ref=ChunkRef(RUN, Phase.SCAN, number),
        token=UUID(int=number),
        attempt=1,
        users=0,
        after=after,
        through=through,
        user_addresses=None if named is None else tuple(named),
    )


def scan_all(
    world: World, leases: Sequence[Lease], batch_size: int = 3
) -> list[ScanFound | ReconcileError]:
    scanner = Scanner(world.retrying, world.reader)
    given: Generator[Lease, None, None] = (each for each in leases)
    scanned = list(scanner.scan(given, Policy(batch_size=batch_size)))
    assert [each for each, _ in scanned] == list(leases)
    return [found for _, found in scanned]


def scan(world: World, batch_size: int = 3, **chunk: Sequence[str]) -> ScanFound:
    (found,) = scan_all(world, [lease(**chunk)], batch_size)  # type: ignore[arg-type]
    assert isinstance(found, ScanFound)
    return found


def in_sync(count: int) -> World:
    balances: dict[str, int] = {user(number): number for number in range(count)}
    return World(balances, balances)


def asked(world: World) -> list[str]:
    return [address for _, addresses in world.contract.calls for address in addresses]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 7, 12, 13])
def test_looks_at_everybody_once_whatever_the_page(count: int) -> None:
    world = in_sync(count)
    found = scan(world)
    assert (found.users, found.in_sync, found.candidates) == (count, count, [])
    assert sorted(asked(world)) == [user(number) for number in range(count)]


def test_looks_at_the_users_of_the_range_alone() -> None:
    world = in_sync(9)
    assert scan(world, after=user(2), through=user(5)).users == 3
    assert asked(world) == [user(3), user(4), user(5)]


def test_one_script_a_chunk_and_none_for_single_users() -> None:
    world = in_sync(10)
    chunks = [lease(0, through=user(4)), lease(1, after=user(4))]
    scan_all(world, chunks, batch_size=5)
    assert [len(addresses) for _, addresses in world.contract.calls] == [5, 5]


def test_finds_candidates_and_failures_and_writes_nothing() -> None:
    world = World({user(1): 5, user(2): 5, "alice": 5, user(3): None}, {user(1): 5, user(2): 6})
    found = scan(world)
    assert [each.user_address for each in found.candidates] == [user(2)]
    assert {each.user_address for each in found.failures} == {"alice", user(3)}
    assert found.users == 4
    assert {method for method, _ in world.ledger.calls} == {"list_balances"}
    assert world.ledger.audit == []


def test_counts_money_that_reads_zero() -> None:
    found = scan(World({user(1): 5, user(2): 5, user(3): 0}, {user(1): 5}))
    assert (found.funded, found.funded_reading_zero) == (2, 1)


def test_remembers_the_lowest_and_the_highest_height_and_counts_scripts() -> None:
    world = in_sync(9)
    world.contract.before_script = lambda call: world.contract.seal()
    found = scan(world, batch_size=1)
    assert found.first_height is not None
    assert found.last_height is not None
    assert found.first_height < found.last_height
    assert found.script_calls == len(world.contract.calls) > 1


def test_an_empty_range_asks_nobody() -> None:
    world = World()
    assert scan(world).first_height is None
    assert world.contract.calls == []


def test_the_height_is_taken_after_the_ledger_was_read() -> None:
    world = World({user(1): 5}, {user(1): 5})
    world.ledger.before_call = lambda method: world.contract.seal()
    found = scan(world)
    assert found.first_height is not None
    assert found.first_height > FIRST_HEIGHT


def test_named_users_are_found_under_every_usual_spelling() -> None:
    upper = user(0xAB)[2:].upper()
    world = World({user(1): 5, upper: 3, user(2): 9}, {user(1): 5, user(0xAB): 4})
    found = scan(world, named=[user(1), user(0xAB)])
    assert (found.users, found.in_sync) == (2, 1)
    assert [(each.user_address, each.row_exists) for each in found.candidates] == [(upper, True)]


def test_a_named_user_without_a_row_differs_if_the_contract_holds_something() -> None:
    world = World({}, {user(1): 5})
    found = scan(world, named=[user(1), user(2)])
    assert (found.users, found.in_sync) == (2, 1)
    (missing,) = found.candidates
    assert (missing.user_address, missing.row_exists, missing.discrepancy) == (user(1), False, 5)


def test_a_named_key_that_is_no_address_fails_if_it_is_there() -> None:
    world = World({"alice": 1})
    found = scan(world, named=["alice", "bob"])
    assert [each.user_address for each in found.failures] == ["alice"]
    assert found.users == 1


def test_an_error_of_one_chunk_is_that_chunks_and_the_next_goes_on() -> None:
    world = in_sync(9)
    chunks = [lease(0, through=user(2)), lease(1, after=user(2), through=user(5))]
    gone = LedgerUnreachable("down", remedy="Wait.")
    world.ledger.fail_next(gone, 2, method="list_balances")
    failed, found = scan_all(world, chunks)
    assert failed is gone
    assert isinstance(found, ScanFound)
    assert found.users == 3


def test_a_chunk_of_several_pages_that_breaks_off_is_not_half_a_result() -> None:
    world = in_sync(9)
    down = ContractUnreachable("down", remedy="Wait.")
    world.contract.fail_when(lambda users: down if user(0) in users else None)
    failed, found = scan_all(
        world, [lease(0, through=user(7)), lease(1, after=user(7))], batch_size=2
    )
    assert failed is down
    assert isinstance(found, ScanFound)
    assert (found.users, found.script_calls) == (1, 1)


def test_chunks_are_read_no_further_ahead_than_needed() -> None:
    world = in_sync(100)
    leased: list[int] = []

    def leases() -> Generator[Lease, None, None]:
        for number in range(100):
            leased.append(number)
            yield lease(number, after=user(number), through=user(number + 1))

    scanned = Scanner(world.retrying, world.reader).scan(leases(), Policy(batch_size=3))
    next(scanned)
    scanned.close()
    assert len(leased) < 9
