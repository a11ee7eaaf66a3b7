"""The function sweep, through functions-framework and as a Lambda function, over a fake ticker."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from functions.sweep import handler
from shared.core.errors import (
    ContractUnreachable,
    InvalidAdmin,
    InvalidInput,
    LedgerTimeout,
    QueueError,
    ReconcileError,
    RunActive,
)
from shared.core.run import PhaseTally, RunState
from shared.services.deadline import RESERVE_S, ShouldStop
from shared.services.plan_run import RunRequest
from shared.services.tick import Tick
from tests.fakes.fake_clock import FakeClock
from tests.lambda_context import Context
from tests.unit.runs import run
from tests.unit.serving import KEY, NAME, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "sweep.py"
SCHEDULED = {
    "version": "0",
    "id": "89d1a02d-5ec7-412e-82f5-13505f849b41",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-01-02T03:04:05Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/sweep"],
    "detail": {},
}
FINISHED = Tick(run=run(), resumed=False, queued=0)
QUEUED = Tick(
    run=run(state=RunState.SCANNING, finished_at=None, scan=PhaseTally(pending=12)),
    resumed=True,
    queued=12,
)


class FakeServices:
    """Its own ticker: records calls, answers with `answer` or raises it."""

    def __init__(self) -> None:
        self.ticker = self
        self.announcer = self
        self.announced = 0
        self.clock = FakeClock()
        self.calls: list[tuple[RunRequest, bool]] = []
        self.answer: Tick | Exception = FINISHED
        self.should_stop: ShouldStop = lambda: False

    def tick(self, request: RunRequest, *, incremental: bool, should_stop: ShouldStop) -> Tick:
        self.calls.append((request, incremental))
        self.should_stop = should_stop
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def announce_quietly(self) -> None:
        self.announced += 1

    def time_given_s(self) -> float:
        """Seconds until it has to stop."""
        start_s = self.clock.monotonic_s()
        while not self.should_stop():
            self.clock.advance(0.5)
        return self.clock.monotonic_s() - start_s


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("sweep", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def post(client: Client, body: Any = None, key: str = KEY) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return client.post("/", data=json.dumps({} if body is None else body), headers=headers)


def problem(response: TestResponse) -> tuple[int, str, bool]:
    """Its status, its code, and whether a retry may help."""
    assert response.headers["Content-Type"] == "application/problem+json"
    assert SECRET not in response.get_data(as_text=True)
    answer = json.loads(response.get_data())
    return response.status_code, answer["code"], answer["retryable"]


# -- by HTTP ----------------------------------------------------------------------------------


def test_a_finished_run_is_answered_with_200(client: Client) -> None:
    response = post(client)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.get_data()) == {
        "run": run().as_json(),
        "resumed": False,
        "queued": 0,
    }


@pytest.mark.parametrize("state", [RunState.PLANNING, RunState.SCANNING, RunState.CORRECTING])
@pytest.mark.parametrize("queued", [0, 12])
def test_while_there_is_work_left_the_answer_is_202(
    client: Client, services: FakeServices, state: RunState, queued: int
) -> None:
    services.answer = Tick(run=run(state=state), resumed=True, queued=queued)
    response = post(client)
    assert response.status_code == 202
    answer = json.loads(response.get_data())
    assert (answer["run"]["state"], answer["resumed"], answer["queued"]) == (state, True, queued)


@pytest.mark.parametrize("state", [RunState.HALTED, RunState.AWAITING_APPROVAL, RunState.FAILED])
def test_a_run_that_waits_for_people_has_no_work_left(
    client: Client, services: FakeServices, state: RunState
) -> None:
    services.answer = Tick(run=run(state=state), resumed=False, queued=0)
    response = post(client)
    assert response.status_code == 200
    assert json.loads(response.get_data())["run"]["state"] == state


@pytest.mark.parametrize(
    ("body", "request_", "incremental"),
    [
        ({}, RunRequest(admin_address=NAME), False),
        ({"dryRun": True}, RunRequest(admin_address=NAME, dry_run=True), False),
        ({"incremental": True}, RunRequest(admin_address=NAME), True),
        (
            {"adminAddress": NAME, "dryRun": False, "incremental": False},
            RunRequest(admin_address=NAME),
            False,
        ),
    ],
)
def test_the_body_says_what_run_it_is_to_be(
    client: Client,
    services: FakeServices,
    body: dict[str, Any],
    request_: RunRequest,
    incremental: bool,
) -> None:
    assert post(client, body).status_code == 200
    assert services.calls == [(request_, incremental)]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"dryRun": "false"}, ["dryRun"]),
        ({"dryRun": 1, "incremental": None}, ["dryRun", "incremental"]),
        ({"adminAddress": 7}, ["adminAddress"]),
        ({"dry_run": True}, ["dry_run"]),
        ({"dryRun": True, "all": True}, ["all"]),
        ([], ["The body"]),
    ],
)
def test_wrong_fields_are_named_and_nothing_is_done(
    client: Client, services: FakeServices, body: Any, fields: list[str]
) -> None:
    response = post(client, body)
    assert problem(response) == (422, "invalid_input", False)
    errors = json.loads(response.get_data())["errors"]
    assert [each["field"] for each in errors] == fields
    assert not services.calls


def test_an_admin_cannot_act_for_another(client: Client, services: FakeServices) -> None:
    assert problem(post(client, {"adminAddress": "CRON"})) == (403, "forbidden", False)
    assert not services.calls


def test_an_admin_who_cannot_be_one_is_refused(client: Client, services: FakeServices) -> None:
    assert problem(post(client, {"adminAddress": "a\nb"})) == (422, InvalidAdmin.code, False)
    assert not services.calls


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        (ContractUnreachable, 503, True),
        (QueueError, 503, True),
        (LedgerTimeout, 504, True),
        (RunActive, 409, True),
    ],
)
def test_what_stops_a_tick_is_a_problem(
    client: Client,
    services: FakeServices,
    error: type[ReconcileError],
    status: int,
    retryable: bool,
) -> None:
    services.answer = error("It is down", remedy="Wait.")
    response = post(client)
    assert problem(response) == (status, error.code, retryable)
    assert json.loads(response.get_data())["detail"] == "It is down. Wait."


def test_an_exception_goes_to_the_log_and_not_to_the_caller(
    client: Client, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.answer = RuntimeError(f"connection to {SECRET} lost")
    assert problem(post(client)) == (500, "internal_error", False)
    assert "RuntimeError" in caplog.text


def test_the_key_is_needed(client: Client, services: FakeServices) -> None:
    assert problem(post(client, key="wrong")) == (401, "unauthorized", False)
    assert not services.calls


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(client: Client, services: FakeServices, method: str) -> None:
    response = client.open("/", method=method, headers={"Authorization": f"Bearer {KEY}"})
    assert problem(response) == (405, "method_not_allowed", False)
    assert response.headers["Allow"] == "POST"
    assert not services.calls


def test_the_deadline_is_that_of_the_settings(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_DEADLINE_S", "90")
    post(client)
    assert services.time_given_s() == 90 - RESERVE_S


# -- on Lambda --------------------------------------------------------------------------------


@pytest.mark.parametrize("detail", [{}, "{}", None])
def test_the_schedules_envelope_asks_for_nothing(services: FakeServices, detail: object) -> None:
    answer = handler(SCHEDULED | {"detail": detail}, Context())
    assert services.calls == [(RunRequest(admin_address="ADMIN"), False)]
    assert answer == {"run": run().as_json(), "resumed": False, "queued": 0}


def test_a_schedules_own_input_is_what_a_body_would_be(services: FakeServices) -> None:
    services.answer = QUEUED
    answer = handler({"incremental": True, "adminAddress": "CRON"}, Context())
    assert services.calls == [(RunRequest(admin_address="CRON"), True)]
    assert (answer["run"]["state"], answer["resumed"], answer["queued"]) == ("scanning", True, 12)
    json.dumps(answer)  # as Lambda does


def test_an_event_may_ask_in_its_detail(services: FakeServices) -> None:
    handler(SCHEDULED | {"detail-type": "Sweep", "detail": {"dryRun": True}}, Context())
    assert services.calls == [(RunRequest(admin_address="ADMIN", dry_run=True), False)]


@pytest.mark.parametrize(
    "event", [{"dryRun": "yes"}, {"dry_run": True}, SCHEDULED | {"detail": {"all": True}}]
)
def test_a_wrong_input_fails_the_invocation(services: FakeServices, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"dryRun|dry_run|all"):
        handler(event, Context())
    assert not services.calls


def test_an_error_fails_the_invocation(services: FakeServices) -> None:
    services.answer = ContractUnreachable("It is down", remedy="Wait.")
    with pytest.raises(ContractUnreachable):
        handler(SCHEDULED, Context())


@pytest.mark.parametrize(("left_s", "given_s"), [(300, 300 - RESERVE_S), (20, 10)])
def test_the_deadline_is_that_of_the_invocation(
    services: FakeServices, left_s: int, given_s: float
) -> None:
    handler(SCHEDULED, Context(left_s * 1000))
    assert services.time_given_s() == given_s
