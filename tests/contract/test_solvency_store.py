"""One suite over the fake store of solvency checks and the procedures of 016."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from uuid import uuid4

import pytest

from shared.adapters.supabase_ledger import connect
from shared.adapters.supabase_solvency import SupabaseSolvency
from shared.core.amount import SMALLEST, FlowAmount
from shared.core.errors import LedgerInvalidValue
from shared.core.solvency import (
    LedgerTotals,
    SolvencyFinding,
    SolvencyReading,
    SolvencyState,
    VaultBalances,
)
from shared.ports.solvency import SolvencyStore
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_solvency import FakeSolvencyStore

S = SolvencyState


@pytest.fixture(params=["fake", "supabase"])
def store(request: pytest.FixtureRequest) -> Iterator[SolvencyStore]:
    if request.param == "fake":
        clock = FakeClock()
        store = FakeSolvencyStore(clock)
        store.before_totals = lambda: clock.advance(1)
        yield store
        return
    env = request.getfixturevalue("stack").env
    request.getfixturevalue("clean_ledger")
    client = connect(
        url=env["SUPABASE_URL"],
        service_role_key=env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=env.get("SUPABASE_REST_URL"),
        timeout_s=10,
    )
    yield SupabaseSolvency(client)
    client.postgrest.session.close()


def reading(vault: int, ledger: int, contract: int) -> SolvencyReading:
    return SolvencyReading(
        ledger=LedgerTotals(
            total=FlowAmount(ledger),
            users=4,
            negative_users=1,
            negative_total=FlowAmount(-5),
            unusable_users=2,
            respelled_users=None,
        ),
        contract=VaultBalances(
            vault_balance=FlowAmount(vault), contract_total=FlowAmount(contract)
        ),
        block_height=7,
    )


def found(
    vault: int = 10, ledger: int = 10, contract: int = 10, *, confirmed: bool = False
) -> SolvencyFinding:
    read = reading(vault, ledger, contract)
    return SolvencyFinding(
        check_id=uuid4(),
        admin_address="alice",
        tolerance=SMALLEST,
        state=read.state(SMALLEST),
        confirmed=confirmed,
        reading=read,
    )


def unreadable() -> SolvencyFinding:
    return SolvencyFinding(
        check_id=uuid4(),
        admin_address="alice",
        tolerance=SMALLEST,
        state=S.UNREADABLE,
        error_code="contract_timeout",
        error="It did not answer. Try again.",
    )


def deficit(*, confirmed: bool = True) -> SolvencyFinding:
    return found(9, 10, 9, confirmed=confirmed)


def test_what_was_found_is_stored(store: SolvencyStore) -> None:
    finding = found()
    check = store.record(finding)
    assert store.list() == [check]
    assert (check.check_id, check.admin_address, check.state) == (
        finding.check_id,
        "alice",
        S.SOLVENT,
    )
    assert (check.ledger_total, check.vault_balance, check.contract_total) == (10, 10, 10)
    assert (check.block_height, check.ledger_users, check.tolerance) == (7, 4, 1)
    assert (check.negative_users, check.negative_total) == (1, -5)
    assert (check.unusable_users, check.respelled_users) == (2, None)
    assert (check.confirmed, check.audit_id, check.error_code) == (False, None, None)
    assert check.checked_at == check.since
    assert check.checked_at.tzinfo is UTC


def test_a_confirmed_mismatch_has_an_audit_row_an_unconfirmed_one_none(
    store: SolvencyStore,
) -> None:
    assert store.record(deficit(confirmed=False)).audit_id is None
    first, second = store.record(deficit()), store.record(deficit())
    assert first.audit_id is not None
    assert second.audit_id not in (None, first.audit_id)


def test_recording_again_gives_the_first_answer(store: SolvencyStore) -> None:
    finding = deficit()
    check = store.record(finding)
    assert store.record(finding) == check
    assert store.record(replace(finding, admin_address="bob")) == check
    assert store.list() == [check]


def test_recording_at_the_same_time_stores_one(store: SolvencyStore) -> None:
    finding = deficit()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store.record, [finding] * 4))
    assert len({answer.audit_id for answer in answers}) == 1
    assert store.list() == answers[:1]


def test_an_unreadable_check_keeps_its_error_and_has_no_amounts(store: SolvencyStore) -> None:
    check = store.record(unreadable())
    assert (check.error_code, check.error) == (
        "contract_timeout",
        "It did not answer. Try again.",
    )
    assert check.ledger_total is check.difference is check.block_height is None


def test_exact_at_both_ends(store: SolvencyStore) -> None:
    largest = 2**64 - 1
    check = store.record(found(largest, largest - 1, largest, confirmed=True))
    assert (check.vault_balance, check.ledger_total) == (largest, largest - 1)
    assert check.difference == 1


@pytest.mark.parametrize("ledger", [10**20, 10**35, -(10**20)])
def test_a_sum_too_large_for_an_audit_row_is_stored_and_says_so(
    store: SolvencyStore, ledger: int
) -> None:
    check = store.record(found(10, ledger, 10, confirmed=True))
    assert (check.ledger_total, check.confirmed, check.audit_id) == (ledger, True, None)
    assert check.error_code == "audit_amount_out_of_range"
    assert check.error


def contradictions() -> dict[str, SolvencyFinding]:
    return {
        "solvent in spite of a difference": replace(deficit(), state=S.SOLVENT, confirmed=False),
        "a deficit of nothing": replace(found(), state=S.DEFICIT),
        "nothing that is confirmed": replace(found(), confirmed=True),
        "unreadable with amounts": replace(unreadable(), reading=reading(1, 1, 1)),
        "unreadable without a reason": replace(unreadable(), error_code=None),
        "a mismatch without amounts": replace(unreadable(), state=S.DEFICIT),
        "a reading with an error": replace(found(), error_code="contract_timeout"),
    }


@pytest.mark.parametrize("name", contradictions())
def test_a_check_that_contradicts_itself_is_refused(store: SolvencyStore, name: str) -> None:
    with pytest.raises(LedgerInvalidValue):
        store.record(contradictions()[name])
    assert store.list() == []


ROW = list[tuple[Callable[[], SolvencyFinding], int]]


@pytest.mark.parametrize(
    "row",
    [
        [(found, 0), (found, 0), (found, 0)],
        [(deficit, 0), (deficit, 0)],
        [(deficit, 0), (found, 1), (deficit, 2)],
        [(found, 0), (unreadable, 1), (found, 0)],
        [(unreadable, 0), (unreadable, 0), (found, 2), (unreadable, 3)],
        [(found, 0), (lambda: deficit(confirmed=False), 1), (found, 0)],
        [(deficit, 0), (lambda: deficit(confirmed=False), 0), (deficit, 0)],
        [(lambda: deficit(confirmed=False), 0), (deficit, 1)],
        [(deficit, 0), (lambda: found(8, 10, 9, confirmed=True), 1)],
    ],
)
def test_since_is_the_first_check_of_the_state_in_a_row(store: SolvencyStore, row: ROW) -> None:
    """Each with the number of the check that it has been so since."""
    checks = []
    for make, _ in row:
        store.ledger_totals()  # lets the fake's time pass
        checks.append(store.record(make()))
    assert [check.since for check in checks] == [checks[since].checked_at for _, since in row]


def test_the_newest_come_first_by_pages(store: SolvencyStore) -> None:
    first, second, third = (store.record(found()) for _ in range(3))
    assert store.list(limit=2) == [third, second]
    assert store.list(before=second.check_id) == [first]
    assert store.list(before=first.check_id) == store.list(before=uuid4()) == []


@pytest.mark.parametrize("limit", [0, 1_001])
def test_a_page_has_a_limit(store: SolvencyStore, limit: int) -> None:
    with pytest.raises(LedgerInvalidValue):
        store.list(limit=limit)


def test_an_empty_ledger_holds_nothing(store: SolvencyStore) -> None:
    assert store.ledger_totals() == LedgerTotals(total=FlowAmount(0), users=0)
