"""One suite over the fake search of runs and the real one behind PostgREST."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from supabase import Client

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_rollbacks import SupabaseRollbacks
from shared.adapters.supabase_run_search import SupabaseRunSearch
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.errors import LedgerInvalidValue, RunNotFound
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.ports.rollback import Rollbacks
from shared.ports.run_search import ResultOrder, RunSearch
from tests.contract.run_stores import (
    SETTLE_S,
    FakeWorld,
    RealWorld,
    World,
    correct_in_ledger,
    correcting,
    differing,
    leased,
    planned,
    result,
    scan,
    started,
)
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_rollbacks import FakeRollbacks
from tests.fakes.fake_run_search import FakeRunSearch
from tests.unit.users import user
from tools.stack import Stack

HOUR = timedelta(hours=1)
Both = tuple[World, RunSearch]
Request = pytest.FixtureRequest


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield client
    assert client.options.httpx_client is not None
    client.options.httpx_client.close()


@pytest.fixture(scope="module")
def supabase(client: Client) -> tuple[SupabaseRunStore, SupabaseLedger, SupabaseRunSearch]:
    return SupabaseRunStore(client), SupabaseLedger(client), SupabaseRunSearch(client)


@pytest.fixture(params=["fake", "real"])
def both(request: Request) -> Iterator[Both]:
    if request.param == "fake":
        fake = FakeWorld()
        yield fake, FakeRunSearch(fake.store, fake.fake_ledger)
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        store, ledger, search = request.getfixturevalue("supabase")
        yield RealWorld(store, ledger, database), search


def dry_run(world: World) -> tuple[UUID, datetime]:
    run = world.store.start_run(planned(dry_run=True))
    return run.run_id, run.started_at


# -- runs of a period -------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_the_runs_of_a_period_are_paged_in_time_order(both: Both, limit: int) -> None:
    world, search = both
    made = []
    for _ in range(4):
        made.append(dry_run(world)[0])
        world.pass_time(3600)
    moments = [world.store.get_run(run_id).started_at for run_id in made]

    seen: list[UUID] = []
    after = None
    while page := search.list_period_runs(moments[1], moments[3], after, limit):
        assert len(page) <= limit
        assert page == [world.store.get_run(run.run_id) for run in page]
        seen += [run.run_id for run in page]
        after = seen[-1]

    assert seen == made[1:3]


def test_a_page_of_runs_has_bounds(both: Both) -> None:
    world, search = both
    _, moment = dry_run(world)
    for until, limit in ((moment, 1), (moment - HOUR, 1), (moment + HOUR, 0)):
        with pytest.raises(LedgerInvalidValue):
            search.list_period_runs(moment, until, None, limit)
    with pytest.raises(LedgerInvalidValue):
        search.list_period_runs(moment, moment + HOUR, None, 1_001)
    with pytest.raises(RunNotFound):
        search.list_period_runs(moment, moment + HOUR, uuid4())


# -- what was rolled back ---------------------------------------------------------------------


def test_what_was_rolled_back_of_a_run_is_counted(both: Both, request: Request) -> None:
    world, search = both
    candidates = [differing(number) for number in (1, 2, 3)]
    run_id = correcting(world, *candidates, policy=Policy(batch_size=9, settle_s=SETTLE_S))
    [lease] = leased(world, run_id)
    correct_in_ledger(world, run_id, candidates)
    done = [result(each, Outcome.CORRECTED) for each in candidates]
    assert world.store.close_correction(lease, done, 1).accepted
    assert search.count_rolled_back(run_id) == 0
    rollbacks = rollbacks_of(world, request)
    page = rollbacks.roll_back_run(run_id, None, 2, "alice", "a test", dry_run=True)
    assert search.count_rolled_back(run_id) == 0
    ids = [each.audit_id for each in page.rollbacks]
    rollbacks.roll_back(ids, "alice", "a test", dry_run=False)
    assert search.count_rolled_back(run_id) == 2
    other, _ = dry_run(world)
    assert search.count_rolled_back(other) == 0
    with pytest.raises(RunNotFound):
        search.count_rolled_back(uuid4())


def rollbacks_of(world: World, request: Request) -> Rollbacks:
    if isinstance(world, FakeWorld):
        return FakeRollbacks(world.fake_ledger, world.fake_store, FakeClock())
    return SupabaseRollbacks(request.getfixturevalue("client"))


# -- users of a run ---------------------------------------------------------------------------


def scanned(world: World) -> UUID:
    """A run with the discrepancies +3, -7, +7, -1 of the users 1 to 4, and two who failed."""
    run_id = started(world, users=6, chunk_users=10, dry_run=True)
    scan(
        world,
        run_id,
        *(differing(number, contract) for number, contract in ((1, 8), (3, 12), (4, 4))),
        differing(2, contract=1, ledger=8),
        failures=2,
    )
    return run_id


@pytest.mark.parametrize("limit", [1, 2, 4, 50])
@pytest.mark.parametrize(
    ("order", "numbers"),
    [
        (ResultOrder.ADDRESS, [1, 2, 3, 4, 900, 901]),
        (ResultOrder.DISCREPANCY, [2, 3, 1, 4, 900, 901]),
    ],
)
def test_results_are_ordered_and_paged(
    both: Both, order: ResultOrder, numbers: list[int], limit: int
) -> None:
    world, search = both
    run_id = scanned(world)

    seen: list[str] = []
    after = None
    while page := search.find_results(run_id, order=order, after=after, limit=limit):
        assert len(page) <= limit
        seen += [result.user_address for result in page]
        after = seen[-1]

    assert seen == [user(number) for number in numbers]


@pytest.mark.parametrize("order", ResultOrder)
def test_results_are_searched_by_a_part_of_the_address(both: Both, order: ResultOrder) -> None:
    world, search = both
    run_id = scanned(world)
    part = user(3)[6:]
    for text in (part, part.upper(), user(3)):
        (found,) = search.find_results(run_id, search=text, order=order)
        assert found.user_address == user(3)
        assert found == next(
            each
            for each in world.store.list_results(run_id, after=None, limit=9)
            if each.user_address == user(3)
        )
    assert not search.find_results(run_id, search="%", order=order)
    assert not search.find_results(run_id, search="_" * 16, order=order)
    assert len(search.find_results(run_id, search="", order=order)) == 6


@pytest.mark.parametrize("order", ResultOrder)
def test_results_are_filtered_by_outcome(both: Both, order: ResultOrder) -> None:
    world, search = both
    run_id = scanned(world)
    failed = search.find_results(run_id, order=order, outcomes=[Outcome.FAILED])
    assert [each.user_address for each in failed] == [user(900), user(901)]
    assert not search.find_results(run_id, order=order, outcomes=[])
    next_page = search.find_results(
        run_id, order=order, outcomes=[Outcome.FAILED], after=user(900), limit=1
    )
    assert [each.user_address for each in next_page] == [user(901)]


def test_a_page_of_results_has_bounds(both: Both) -> None:
    world, search = both
    run_id = scanned(world)
    for limit in (0, 10_001):
        with pytest.raises(LedgerInvalidValue):
            search.find_results(run_id, limit=limit)
    with pytest.raises(LedgerInvalidValue):
        search.find_results(run_id, search="x" * 201)
    with pytest.raises(LedgerInvalidValue):
        search.find_results(run_id, order=ResultOrder.DISCREPANCY, after=user(77))
    # By address any key will do, as with every other listing by key.
    assert len(search.find_results(run_id, after=user(77))) == 2
    with pytest.raises(RunNotFound):
        search.find_results(uuid4())
