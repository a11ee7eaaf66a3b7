"""One suite over the fake record of stored reports and the real one behind PostgREST."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.adapters.supabase_stored_reports import SupabaseStoredReports
from shared.core.errors import LedgerInvalidValue, ReportStoreError
from shared.core.run import RunState
from shared.core.stored_report import StoredReport, StoredState
from shared.ports.stored_reports import StoredReports
from tests.contract.run_stores import FakeWorld, RealWorld, World, planned, scan, started
from tests.fakes.fake_stored_reports import FakeStoredReports
from tools.stack import Stack

LEASE_S = 60.0
SHA256 = "0f" * 32
NO_BUCKET = ReportStoreError("there is no bucket", remedy="Make one.")
Both = tuple[World, StoredReports]


class StoringWorld(RealWorld):
    """Lets the time of leases pass too."""

    _MOMENTS = (*RealWorld._MOMENTS, ("reconciliation_stored_reports", ("next_at",)))


@pytest.fixture(scope="module")
def supabase(
    stack: Stack,
) -> Iterator[tuple[SupabaseRunStore, SupabaseLedger, SupabaseStoredReports]]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield SupabaseRunStore(client), SupabaseLedger(client), SupabaseStoredReports(client)
    assert client.options.httpx_client is not None
    client.options.httpx_client.close()


@pytest.fixture(params=["fake", "real"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    if request.param == "fake":
        fake = FakeWorld()
        yield fake, FakeStoredReports(fake.store, fake._clock)
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        store, ledger, stored = request.getfixturevalue("supabase")
        yield StoringWorld(store, ledger, database), stored


def ended(world: World, state: RunState = RunState.FINISHED, **changes: Any) -> UUID:
    if state is RunState.FINISHED:
        run_id = started(world, users=1, **changes)
        assert scan(world, run_id).state is state
    else:
        run_id = world.store.start_run(planned(**changes)).run_id
        world.store.end_run(run_id, state)
    world.pass_time(60)
    return run_id


def test_ended_runs_are_handed_out_once_the_newest_first(both: Both) -> None:
    world, stored = both
    older, newer = ended(world), ended(world, RunState.FAILED)
    cancelled = ended(world, RunState.CANCELLED)

    leased = [stored.lease(uuid4(), lease_s=LEASE_S) for _ in range(4)]

    assert [run and run.run_id for run in leased] == [cancelled, newer, older, None]
    assert leased[0] == world.store.get_run(cancelled)
    assert stored.get(older) == StoredReport(run_id=older, state=StoredState.STORING, attempts=1)


def test_runs_without_a_report_are_passed_over(both: Both) -> None:
    world, stored = both
    ended(world, dry_run=True)
    ended(world, RunState.DECLINED)
    world.store.start_run(planned())
    assert stored.lease(uuid4(), lease_s=LEASE_S) is None
    assert stored.get(uuid4()) is None


def test_a_stored_report_is_done_with(both: Both) -> None:
    world, stored = both
    run_id, token = ended(world), uuid4()
    stored.lease(token, lease_s=LEASE_S)

    for _ in range(2):  # the answer may have been lost
        assert stored.finish(run_id, token, path="runs/x", sha256=SHA256)

    report = stored.get(run_id)
    assert report is not None
    assert (report.state, report.path, report.sha256) == (StoredState.STORED, "runs/x", SHA256)
    assert report.stored_at is not None
    world.pass_time(10_000)
    assert stored.lease(uuid4(), lease_s=LEASE_S) is None
    assert not stored.fail(run_id, token, NO_BUCKET)


def test_a_failure_is_kept_and_tried_again_later_and_later(both: Both) -> None:
    world, stored = both
    run_id = ended(world)
    for attempt, wait_s in enumerate((60, 120, 240), 1):
        token = uuid4()
        assert stored.lease(token, lease_s=LEASE_S) is not None
        assert stored.fail(run_id, token, NO_BUCKET)
        assert stored.get(run_id) == StoredReport(
            run_id=run_id,
            state=StoredState.FAILED,
            attempts=attempt,
            error_code="report_store_error",
            error="there is no bucket. Make one.",
        )
        world.pass_time(wait_s - 30)
        assert stored.lease(uuid4(), lease_s=LEASE_S) is None
        world.pass_time(31)

    token = uuid4()
    stored.lease(token, lease_s=LEASE_S)
    assert stored.finish(run_id, token, path="p", sha256=SHA256)
    report = stored.get(run_id)
    assert report is not None
    assert (report.attempts, report.error_code, report.error) == (4, None, None)


def test_who_lost_the_lease_changes_nothing(both: Both) -> None:
    world, stored = both
    run_id, first, second = ended(world), uuid4(), uuid4()
    stored.lease(first, lease_s=LEASE_S)
    world.pass_time(LEASE_S + 1)
    taken_over = stored.lease(second, lease_s=LEASE_S)
    assert taken_over is not None
    assert taken_over.run_id == run_id

    assert not stored.finish(run_id, first, path="p", sha256=SHA256)
    assert not stored.fail(run_id, first, NO_BUCKET)
    report = stored.get(run_id)
    assert report is not None
    assert (report.state, report.attempts) == (StoredState.STORING, 2)


def test_runs_never_begun_come_before_those_that_failed(both: Both) -> None:
    world, stored = both
    failed, token = ended(world), uuid4()
    stored.lease(token, lease_s=LEASE_S)
    stored.fail(failed, token, NO_BUCKET)
    world.pass_time(61)
    fresh = ended(world, RunState.FAILED)
    order = [stored.lease(uuid4(), lease_s=LEASE_S) for _ in range(2)]
    assert [run and run.run_id for run in order] == [fresh, failed]


def test_a_checksum_has_to_be_one(supabase: tuple[object, object, StoredReports]) -> None:
    with pytest.raises(LedgerInvalidValue):
        supabase[2].finish(uuid4(), uuid4(), path="p", sha256="x")
