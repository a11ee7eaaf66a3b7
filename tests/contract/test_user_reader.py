"""One suite for everything that implements the port UserReader."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_user_reader import SupabaseUserReader
from shared.core.amount import FlowAmount
from shared.ports.ledger import Correction, Ledger
from shared.ports.user_reader import UserReader
from tests.conftest import LedgerTables
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.fake_user_reader import FakeUserReader
from tests.unit.users import user
from tools.stack import Stack

HEIGHT = 500


@dataclass(frozen=True)
class Both:
    """The reader, and a ledger with users 1 and 2 to write to."""

    reader: UserReader
    ledger: Ledger


@pytest.fixture(params=["fake", "supabase"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    rows: dict[str, int] = {user(1): 10, user(2): 20}
    if request.param == "fake":
        ledger = FakeLedger(rows)
        yield Both(FakeUserReader(ledger), ledger)
        return
    tables: LedgerTables = request.getfixturevalue("ledger_rows")
    tables.insert(rows)
    stack: Stack = request.getfixturevalue("stack")
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield Both(SupabaseUserReader(client), SupabaseLedger(client))
    session = client.options.httpx_client
    assert session is not None
    session.close()


def test_the_rows_there_are_in_key_order(both: Both) -> None:
    found = both.reader.find([user(2), user(3), user(1), user(2)])
    assert [(each.user_address, each.balance) for each in found] == [
        (user(1), "0.00000010"),
        (user(2), "0.00000020"),
    ]
    assert both.reader.find([]) == []


def test_keys_are_matched_as_they_are_stored(both: Both) -> None:
    assert both.reader.find([user(1).upper(), user(1)[2:]]) == []


def test_a_row_that_nobody_touched_has_no_fence(both: Both) -> None:
    (found,) = both.reader.find([user(1)])
    assert (found.reconciled_height, found.event_height) == (None, None)


def test_the_height_of_the_last_reconciliation(both: Both) -> None:
    correction = Correction(
        user_address=user(1), contract_balance=FlowAmount(15), expected_balance=FlowAmount(10)
    )
    both.ledger.correct_user(correction, block_height=HEIGHT, admin_address="ADMIN", run_id=uuid4())
    (found,) = both.reader.find([user(1)])
    assert (found.balance, found.reconciled_height) == ("0.00000015", HEIGHT)
