"""One suite over the fake audit log and the real one behind PostgREST."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import psycopg
import pytest

from shared.adapters.supabase_audit_reader import SupabaseAuditReader
from shared.adapters.supabase_ledger import connect
from shared.core.amount import UFIX64_MAX, FlowAmount, format_amount
from shared.core.audit_row import AuditRow, AuditTotal
from shared.core.errors import LedgerInvalidValue
from shared.ports.audit_reader import AuditReader
from tests.fakes.fake_audit_reader import FakeAuditReader
from tests.unit.audit_rows import audit_row, rolled_back
from tests.unit.runs import RUN_ID, STARTED
from tests.unit.users import user
from tools.stack import Stack

Reading = Callable[[Sequence[AuditRow]], AuditReader]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def supabase(stack: Stack) -> Iterator[SupabaseAuditReader]:
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield SupabaseAuditReader(client)
    assert client.options.httpx_client is not None
    client.options.httpx_client.close()


@pytest.fixture(params=["fake", "real"])
def over(request: pytest.FixtureRequest) -> Reading:
    """A reader of an audit log that holds these rows and no others."""
    if request.param == "fake":
        return FakeAuditReader
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    reader: SupabaseAuditReader = request.getfixturevalue("supabase")

    def put(rows: Sequence[AuditRow]) -> AuditReader:
        with psycopg.connect(stack.database_url) as database:
            # No trigger: the rows are to be as they are given.
            database.execute("set local session_replication_role = replica")
            for row in rows:
                _insert(database, row)
        return reader

    return put


def _insert(database: psycopg.Connection, row: AuditRow) -> None:
    amounts = (row.amount, row.balance_before, row.balance_after)
    database.execute(
        """
        insert into public.balance_audit_log (
            id, user_address, operation_type, amount, balance_before, balance_after,
            transaction_hash, created_at, run_id, block_height, chain_no, reason, reverses_audit_id
        )
        overriding system value
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            int(row.audit_id),
            row.user_address,
            row.operation_type,
            *("NaN" if amount is None else format_amount(amount) for amount in amounts),
            row.transaction_hash,
            # A table of ours has a time in every row; an app's own may have none.
            row.created_at,
            row.run_id,
            row.block_height,
            row.chain_no,
            row.reason,
            row.reverses_audit_id,
        ),
    )


def test_a_row_comes_back_as_it_is_stored(over: Reading) -> None:
    rows = [
        audit_row(1, amount=FlowAmount(1 - UFIX64_MAX), balance_before=UFIX64_MAX, reason="ü Ж"),
        rolled_back(2, 1),
        audit_row(
            3,
            transaction_hash=None,
            run_id=RUN_ID,
            block_height=None,
            created_at=STARTED + timedelta(microseconds=123_456),
        ),
    ]
    assert over(rows).list_user(user(1)) == [rows[2], rows[1], rows[0]]


def test_an_amount_that_is_none_is_not_known(over: Reading) -> None:
    row = audit_row(1, amount=None)
    reader = over([row, audit_row(2)])
    assert reader.list_user(user(1))[1] == row
    assert reader.totals(STARTED, STARTED + DAY) == [
        AuditTotal(
            operation_type="reconciliation",
            rows=2,
            increase=FlowAmount(2),
            decrease=FlowAmount(0),
            unsummed=1,
        )
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_users_history_is_paged_in_the_order_of_the_chain(over: Reading, limit: int) -> None:
    # The times of two transactions may be the other way round than their places in the chain.
    chained = [audit_row(10 + n, chain_no=n, created_at=STARTED - n * DAY) for n in (1, 2, 3)]
    adopted = [
        audit_row(4, chain_no=None, created_at=STARTED - 10 * DAY),
        audit_row(5, chain_no=None, created_at=STARTED - 11 * DAY),
        audit_row(6, chain_no=None, created_at=STARTED - 11 * DAY),
    ]
    reader = over([*adopted, *chained, audit_row(20, user_address=user(2))])

    seen: list[str] = []
    before = None
    while page := reader.list_user(user(1), before, limit):
        assert len(page) <= limit
        seen += [row.audit_id for row in page]
        before = seen[-1]

    assert seen == ["13", "12", "11", "4", "6", "5"]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_a_period_is_paged_in_time_order(over: Reading, limit: int) -> None:
    moments = (STARTED, STARTED, STARTED + timedelta(microseconds=1), STARTED, STARTED + DAY)
    rows = [audit_row(n, created_at=at, chain_no=n) for n, at in enumerate(moments, 1)]
    reader = over([*rows, audit_row(6, created_at=STARTED - timedelta(microseconds=1))])

    seen: list[str] = []
    after = None
    while page := reader.list_period(STARTED, STARTED + DAY, after, limit):
        assert len(page) <= limit
        seen += [row.audit_id for row in page]
        after = seen[-1]

    assert seen == ["1", "2", "4", "3"]


def test_a_period_may_be_of_some_operations(over: Reading) -> None:
    reader = over([audit_row(1), audit_row(2, operation_type="deposit"), rolled_back(3, 1)])
    listed = reader.list_period(STARTED, STARTED + DAY, operation_types=["deposit", "x"])
    assert [row.audit_id for row in listed] == ["2"]
    # The page before may have ended with any row of the period.
    assert not reader.list_period(STARTED, STARTED + DAY, "2", operation_types=["deposit"])


def test_totals_are_exact_and_by_operation(over: Reading) -> None:
    large = FlowAmount(UFIX64_MAX - 1)
    reader = over(
        [
            audit_row(1, amount=large),
            audit_row(2, amount=large),
            audit_row(3, amount=FlowAmount(-7)),
            audit_row(4, amount=FlowAmount(0)),
            audit_row(5, operation_type="deposit"),
            audit_row(6, created_at=STARTED + DAY),
        ]
    )
    assert reader.totals(STARTED, STARTED + DAY) == [
        AuditTotal(
            operation_type="deposit", rows=1, increase=FlowAmount(5), decrease=FlowAmount(0)
        ),
        AuditTotal(
            operation_type="reconciliation",
            rows=4,
            increase=FlowAmount(2 * large),
            decrease=FlowAmount(-7),
        ),
    ]


def test_nothing_is_there(over: Reading) -> None:
    reader = over([])
    assert reader.list_user(user(1)) == []
    assert reader.list_period(STARTED, STARTED + DAY) == []
    assert reader.totals(STARTED, STARTED + DAY) == []


@pytest.mark.parametrize("unknown", ["9", "", "x", "99999999999999999999999", "1; select 1"])
def test_a_page_cannot_follow_a_row_that_is_not_there(over: Reading, unknown: str) -> None:
    reader = over([audit_row(1)])
    with pytest.raises(LedgerInvalidValue):
        reader.list_user(user(1), unknown)
    with pytest.raises(LedgerInvalidValue):
        reader.list_period(STARTED, STARTED + DAY, unknown)


def test_a_page_of_one_user_cannot_follow_anothers_row(over: Reading) -> None:
    reader = over([audit_row(1), audit_row(2, user_address=user(2))])
    with pytest.raises(LedgerInvalidValue):
        reader.list_user(user(1), "2")


@pytest.mark.parametrize("limit", [0, 10_001])
def test_a_page_has_bounds(over: Reading, limit: int) -> None:
    reader = over([])
    with pytest.raises(LedgerInvalidValue):
        reader.list_user(user(1), limit=limit)
    with pytest.raises(LedgerInvalidValue):
        reader.list_period(STARTED, STARTED + DAY, limit=limit)


@pytest.mark.parametrize("until", [STARTED, STARTED - DAY])
def test_a_period_ends_after_it_begins(over: Reading, until: datetime) -> None:
    reader = over([])
    with pytest.raises(LedgerInvalidValue):
        reader.list_period(STARTED, until)
    with pytest.raises(LedgerInvalidValue):
        reader.totals(STARTED, until)
