"""What the run store's adapter makes of answers, those of our procedures and others."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from supabase import ClientOptions, create_client

from shared.adapters.supabase_rate_budget import SupabaseRateBudget
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.amount import FlowAmount
from shared.core.compare import Candidate, Failure
from shared.core.errors import (
    ContractTimeout,
    LedgerBadAnswer,
    LedgerInvalidValue,
    LedgerTimeout,
    ReconcileError,
    RunActive,
    RunNotApplicable,
    RunNotFound,
)
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import ChunkRef, Lease, Phase, RunPlan, RunState
from shared.ports.run_store import ScanFound
from tests.fakes.fake_clock import FakeClock

RUN_ID = uuid4()
LEASE = Lease(ref=ChunkRef(RUN_ID, Phase.SCAN, 3), token=uuid4(), attempt=1, users=2)
PLAN = RunPlan(run_id=RUN_ID, dry_run=True, admin_address="ADMIN", policy=Policy())
FOUND = ScanFound(
    users=3,
    in_sync=1,
    funded=2,
    funded_reading_zero=0,
    candidates=[Candidate("0xa", FlowAmount(1), FlowAmount(2**64 - 1), 7, row_exists=False)],
    failures=[Failure("0xb", ContractTimeout("slow", remedy="Wait."), FlowAmount(-5))],
    first_height=7,
    last_height=8,
    script_calls=1,
)
ALL_CALLS: list[Callable[[SupabaseRunStore], object]] = [
    lambda store: store.start_run(PLAN),
    lambda store: store.add_user_chunk(RUN_ID, 0, ["0xa"]),
    lambda store: store.plan_chunks(RUN_ID, chunk_users=10, chunks_max=None),
    lambda store: store.lease_chunks(RUN_ID, lease_s=60, attempts_max=5),
    lambda store: store.close_scan(LEASE, FOUND),
    lambda store: store.decide(RUN_ID, None),
    lambda store: store.list_candidates(LEASE),
    lambda store: store.close_correction(LEASE, [], 0),
    lambda store: store.release(LEASE),
    lambda store: store.fail_attempt(LEASE, ContractTimeout("x", remedy="y"), attempts_max=5),
    lambda store: store.requeue(RUN_ID, older_than_s=900, attempts_max=5),
    lambda store: store.approve(RUN_ID),
    lambda store: store.end_run(RUN_ID, RunState.CANCELLED),
    lambda store: store.get_run(RUN_ID),
    lambda store: store.list_runs(),
    lambda store: store.active_run(),
    lambda store: store.covering_run(),
    lambda store: store.list_results(RUN_ID, after=None, limit=10),
    lambda store: store.count_results(RUN_ID),
]
Handler = Callable[[httpx.Request], httpx.Response]
Answering = Callable[[Handler], SupabaseRunStore]


@pytest.fixture
def clients() -> Iterator[Callable[[Handler], Any]]:
    """Clients whose server answers as told."""
    opened: list[httpx.Client] = []

    def make(handler: Handler) -> Any:
        http = httpx.Client(transport=httpx.MockTransport(handler))
        opened.append(http)
        options = ClientOptions(httpx_client=http, auto_refresh_token=False)
        return create_client("http://ledger.test", "k" * 20, options)

    yield make
    for http in opened:
        http.close()


@pytest.fixture
def answering(clients: Callable[[Handler], Any]) -> Answering:
    """A run store whose server answers as told."""
    return lambda handler: SupabaseRunStore(clients(handler))


@pytest.mark.parametrize("answer", [{}, "text", 1.5, {"state": "lost"}, {"refused": "other"}, [1]])
def test_an_answer_of_another_shape_is_a_bad_answer_and_no_crash(
    answering: Answering, answer: object
) -> None:
    store = answering(lambda request: httpx.Response(200, json=answer))
    for call in ALL_CALLS:
        with pytest.raises(LedgerBadAnswer):
            call(store)


def test_lists_of_unequal_length_are_no_leases(answering: Answering) -> None:
    names = ("phases", "chunk_nos", "tokens", "attempts", "users", "afters", "throughs")
    leased = {name: ["scan"] for name in names} | {"state": "scanning", "wait_s": 0}
    store = answering(lambda request: httpx.Response(200, json=leased | {"user_addresses": []}))
    with pytest.raises(LedgerBadAnswer):
        store.lease_chunks(RUN_ID, lease_s=60, attempts_max=5)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("run_active", RunActive),
        ("run_not_found", RunNotFound),
        ("run_not_applicable", RunNotApplicable),
    ],
)
def test_a_refusal_is_an_error_that_names_the_run(
    answering: Answering, code: str, raised: type[ReconcileError]
) -> None:
    about = {"run_id": str(RUN_ID), "state": "correcting", "dry_run": False}
    answer = {"refused": code, "run": None if code == "run_not_found" else about}
    store = answering(lambda request: httpx.Response(200, json=answer))
    with pytest.raises(raised, match=str(RUN_ID)):
        store.approve(RUN_ID)


def test_an_active_run_that_has_ended_meanwhile_refuses_all_the_same(answering: Answering) -> None:
    answer = {"refused": "run_active", "run": None}
    with pytest.raises(RunActive):
        answering(lambda request: httpx.Response(200, json=answer)).start_run(PLAN)


def test_a_plan_that_is_not_there_is_named(answering: Answering) -> None:
    missing = UUID(int=7)
    plan = RunPlan(
        run_id=RUN_ID, dry_run=True, admin_address="A", policy=Policy(), plan_run_id=missing
    )
    answer = {"refused": "run_not_found", "run": None}
    with pytest.raises(RunNotFound, match=str(missing)):
        answering(lambda request: httpx.Response(200, json=answer)).start_run(plan)


def test_no_answer_is_no_run(answering: Answering) -> None:
    store = answering(lambda request: httpx.Response(200, content=b"null"))
    assert store.active_run() is None
    assert store.covering_run() is None
    with pytest.raises(RunNotFound):
        store.get_run(RUN_ID)
    with pytest.raises(RunNotFound):
        store.count_results(RUN_ID)


def test_amounts_are_sent_as_text_and_what_is_not_known_as_null(answering: Answering) -> None:
    sent: list[Any] = []

    def closed(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        answer = {"accepted": True, "state": "scanning", "open_chunks": 0, "outcomes": {}}
        return httpx.Response(200, json=answer)

    answering(closed).close_scan(LEASE, FOUND)

    [parameters] = sent
    lists = {name: parameters[name] for name in parameters if isinstance(parameters[name], list)}
    assert lists == {
        "p_user_addresses": ["0xa", "0xb"],
        "p_row_exists": [False, None],
        "p_ledger_balances": ["0.00000001", "-0.00000005"],
        "p_contract_balances": ["184467440737.09551615", None],
        "p_heights": [7, None],
        "p_error_codes": [None, "contract_timeout"],
        "p_errors": [None, "slow. Wait."],
    }


def test_a_result_is_read_exactly_and_in_utc(answering: Answering) -> None:
    answer = {
        "user_addresses": ["0xa"],
        "outcomes": ["would_correct"],
        "row_exists": [True],
        "ledger_balances": ["-0.00000001"],
        "contract_balances": ["184467440737.09551615"],
        "scan_heights": [9007199254740993],
        "decided_heights": [None],
        "audit_ids": [None],
        "error_codes": [None],
        "errors": [None],
        "decided_ats": ["2026-01-02T05:04:05.5+02:00"],
    }
    store = answering(lambda request: httpx.Response(200, json=answer))
    [result] = store.list_results(RUN_ID, after=None, limit=1, outcomes=[Outcome.WOULD_CORRECT])
    assert (result.old_balance, result.new_balance) == (-1, 2**64 - 1)
    assert (result.discrepancy, result.block_height) == (2**64, 9007199254740993)
    assert result.as_json()["timestamp"] == "2026-01-02T03:04:05.500Z"


def test_a_silent_server_is_a_timeout(answering: Answering) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silent", request=request)

    with pytest.raises(LedgerTimeout):
        answering(silent).get_run(RUN_ID)


def test_a_wrong_argument_is_an_invalid_value(answering: Answering) -> None:
    refusal = {"code": "BR001", "message": "p_limit is 0", "details": None, "hint": None}
    with pytest.raises(LedgerInvalidValue):
        answering(lambda request: httpx.Response(400, json=refusal)).list_runs(limit=0)


# -- the shared pace --------------------------------------------------------------------------


def test_a_call_waits_for_its_slot(clients: Callable[[Handler], Any]) -> None:
    answers = iter([0, 0.4, 0.9])
    clock = FakeClock()
    client = clients(lambda request: httpx.Response(200, json={"wait_s": next(answers)}))
    budget = SupabaseRateBudget(client, "node", 5, clock)
    for _ in range(3):
        budget.wait()
    assert clock.sleeps == [0.4, 0.9]


@pytest.mark.parametrize("answer", [None, {}, {"wait_s": None}, {"wait_s": "soon"}, []])
def test_a_budget_that_answers_otherwise_is_a_bad_answer(
    clients: Callable[[Handler], Any], answer: object
) -> None:
    client = clients(lambda request: httpx.Response(200, json=answer))
    with pytest.raises(LedgerBadAnswer):
        SupabaseRateBudget(client, "node", 5, FakeClock()).wait()
