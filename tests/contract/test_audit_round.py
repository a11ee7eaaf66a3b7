"""One suite over the fake store of the scheduled verification's round and the procedures of 014."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from shared.adapters.supabase_audit_round import SupabaseAuditRound
from shared.adapters.supabase_ledger import connect
from shared.core.audit_chain import (
    AuditCursor,
    AuditFault,
    AuditVerification,
    Phase,
    verification_from_json,
)
from shared.ports.audit_round import AuditRound, AuditRoundStore
from tests.fakes.fake_audit_round import FakeAuditRoundStore
from tests.fakes.fake_clock import FakeClock

UNTIL = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
DIGEST = "ab" * 32
UNFINISHED = AuditVerification(
    until=UNTIL,
    rows=7,
    users=3,
    adopted_rows=2,
    faults=1,
    first_faults=(
        AuditFault(audit_id=None, user_address="ü", chain_no=3, code="row_missing", detail="gone"),
    ),
    gaps=4,
    unaudited=5,
    first_unaudited=("x",),
    unanchored=6,
    only_writer=True,
    digest=DIGEST,
    after=AuditCursor(until=UNTIL, phase=Phase.HEADS, key="ü", chain_no=None, digest=DIGEST),
)
OVER = AuditVerification(until=UNTIL, digest="")


@pytest.fixture(params=["fake", "supabase"])
def store(request: pytest.FixtureRequest) -> Iterator[AuditRoundStore]:
    if request.param == "fake":
        yield FakeAuditRoundStore(FakeClock())
        return
    env = request.getfixturevalue("stack").env
    request.getfixturevalue("clean_ledger")
    client = connect(
        url=env["SUPABASE_URL"],
        service_role_key=env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=env.get("SUPABASE_REST_URL"),
        timeout_s=10,
    )
    yield SupabaseAuditRound(client)
    client.postgrest.session.close()


def kept(store: AuditRoundStore) -> AuditRound:
    found = store.get()
    assert found is not None
    return found


def found(**changes: Any) -> dict[str, Any]:
    return UNFINISHED.as_json() | changes


def test_there_is_no_round_to_begin_with(store: AuditRoundStore) -> None:
    assert store.get() is None


def test_a_round_is_kept_as_it_was_found(store: AuditRoundStore) -> None:
    assert store.keep(0, uuid4(), UNFINISHED.as_json(), begins=True)
    first = kept(store)
    assert verification_from_json(first.found) == UNFINISHED
    assert store.keep(1, uuid4(), OVER.as_json(), begins=False)
    second = kept(store)

    assert verification_from_json(second.found) == OVER
    assert (first.step, second.step, second.last_found) == (1, 2, None)
    assert second.started_at == first.started_at <= second.kept_at


def test_keeping_may_be_repeated_and_who_is_late_changes_nothing(store: AuditRoundStore) -> None:
    early, late = uuid4(), uuid4()
    for step in (0, 1):
        assert store.keep(step, early, found(rows=step), begins=step == 0)
        assert store.keep(step, early, found(rows=step), begins=step == 0)
        assert not store.keep(step, late, found(rows=9), begins=True)

    assert (kept(store).step, kept(store).found["rows"]) == (2, 1)
    assert not store.keep(7, late, found(), begins=False)


def test_a_new_round_knows_the_last_one_that_was_over(store: AuditRoundStore) -> None:
    token = uuid4()
    store.keep(0, token, found(after=None, rows=1), begins=True)
    store.keep(1, token, found(rows=2), begins=True)
    again = kept(store)
    store.keep(2, token, found(rows=3), begins=True)

    assert (again.found["rows"], again.last_found) == (2, found(after=None, rows=1))
    assert kept(store).last_found == again.last_found
