"""The function solvency, through functions-framework and as a Lambda function."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from functions.solvency import handler
from shared.core.access import ApiKey, Role, key_digest
from shared.core.amount import SMALLEST
from shared.core.errors import (
    ContractUnreachable,
    LedgerUnreachable,
    ReconcileError,
)
from shared.services.retry import Backoff
from shared.services.solvency import SolvencyChecker
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_solvency import FakeAlerter, FakeSolvencyStore, FakeVault
from tests.lambda_context import Context
from tests.unit.serving import KEY, NAME, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "solvency.py"
VIEWER_KEY = "viewer-key-0123456789-0123456789-01234567"
DELEGATE_KEY = "delegate-key-0123456789-0123456789-0123456"
SETTLE_S = 5.0


class FakeServices:
    """A real checker of a fake ledger and a fake vault, which agree on 100."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = FakeSolvencyStore(self.clock)
        self.vault = FakeVault()
        self.store.hold(100)
        self.vault.set(100)
        self.solvency = SolvencyChecker(
            self.store,
            self.vault,
            self.vault,
            self.clock,
            FakeAlerter(),
            tolerance=SMALLEST,
            settle_s=SETTLE_S,
            backoff=Backoff(attempts_max=1),
        )


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    keys = [
        ApiKey(NAME, Role.ADMIN, key_digest(KEY)),
        ApiKey("viewer", Role.VIEWER, key_digest(VIEWER_KEY)),
        ApiKey("delegate", Role.DELEGATE, key_digest(DELEGATE_KEY)),
    ]
    with served(monkeypatch, fake):
        monkeypatch.setenv("RECONCILE_API_KEYS", ",".join(key.line() for key in keys))
        monkeypatch.setenv("RECONCILE_METRICS", "emf")
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("solvency", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def post(client: Client, body: Any = None, key: str = KEY) -> TestResponse:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return client.post("/", data=json.dumps({} if body is None else body), headers=headers)


def get(client: Client, query: str = "", key: str = VIEWER_KEY) -> TestResponse:
    return client.get(f"/{query}", headers={"Authorization": f"Bearer {key}"})


def answer(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200
    return dict(json.loads(response.get_data()))


def problem(response: TestResponse) -> tuple[int, str]:
    assert response.headers["Content-Type"] == "application/problem+json"
    assert SECRET not in response.get_data(as_text=True)
    return response.status_code, json.loads(response.get_data())["code"]


def test_post_makes_a_check_in_the_callers_name(client: Client, services: FakeServices) -> None:
    assert answer(post(client)) == services.store.checks[0].as_json()
    assert services.store.checks[0].admin_address == NAME
    assert answer(post(client))["state"] == "solvent"
    assert len(services.store.checks) == 2


def test_a_mismatch_is_an_answer(client: Client, services: FakeServices) -> None:
    services.store.hold(110)
    found = answer(post(client))
    assert (found["state"], found["confirmed"], found["difference"]) == (
        "deficit",
        True,
        "-0.00000010",
    )
    assert services.clock.sleeps == [SETTLE_S]


def test_so_is_an_outage(client: Client, services: FakeServices) -> None:
    services.vault.failures = [ContractUnreachable("it is down", remedy="Wait.")]
    found = answer(post(client))
    assert (found["state"], found["errorCode"]) == ("unreadable", "contract_unreachable")


def test_it_looks_again_only_within_the_deadline(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_DEADLINE_S", "8")
    services.store.hold(110)
    assert answer(post(client))["confirmed"] is False
    assert not services.clock.sleeps


def test_a_check_that_cannot_be_stored_is_a_problem(client: Client, services: FakeServices) -> None:
    services.store.failures = [LedgerUnreachable("down", remedy="Wait.")] * 2
    assert problem(post(client)) == (503, "ledger_unreachable")


def test_a_viewer_may_look_and_not_check(client: Client, services: FakeServices) -> None:
    assert problem(post(client, key=VIEWER_KEY)) == (403, "forbidden")
    assert not services.store.checks
    assert answer(get(client)) == {"checks": []}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_may_neither(client: Client, services: FakeServices, method: str) -> None:
    response = client.open("/", method=method)
    assert problem(response)[0] == 401
    assert not services.store.checks


def test_a_delegate_names_whom_it_acts_for(client: Client, services: FakeServices) -> None:
    post(client, {"adminAddress": "0x01cf0e2f2f715450"}, key=DELEGATE_KEY)
    assert services.store.checks[0].admin_address == "0x01cf0e2f2f715450 by delegate"
    assert problem(post(client, {"adminAddress": "0x01cf0e2f2f715450"})) == (403, "forbidden")


@pytest.mark.parametrize("body", [{"tolerance": "1"}, {"adminAddress": 5}, []])
def test_a_wrong_body_is_refused(client: Client, services: FakeServices, body: Any) -> None:
    assert problem(post(client, body)) == (422, "invalid_input")
    assert not services.store.checks


def test_get_lists_the_newest_first_by_pages(client: Client, services: FakeServices) -> None:
    for _ in range(3):
        post(client)
    first, second, third = (check.as_json() for check in services.store.checks)
    assert answer(get(client)) == {"checks": [third]}
    assert answer(get(client, "?limit=2")) == {"checks": [third, second]}
    assert answer(get(client, f"?limit=9&before={second['checkId']}")) == {"checks": [first]}
    assert answer(get(client, f"?before={uuid4()}")) == {"checks": []}


@pytest.mark.parametrize(
    "query",
    ["?limit=0", "?limit=1001", "?limit=x", "?limit=1&limit=2", "?limit=", "?before=x", "?last=1"],
)
def test_a_wrong_question_is_refused(client: Client, query: str) -> None:
    assert problem(get(client, query)) == (400, "invalid_input")


def test_the_schedule_makes_a_check(services: FakeServices) -> None:
    services.store.hold(110)
    found = handler({"detail-type": "Scheduled Event", "detail": {}}, Context())
    assert (found["state"], found["confirmed"], found["adminAddress"]) == ("deficit", True, "ADMIN")


def test_the_schedule_is_told_when_nothing_could_be_stored(services: FakeServices) -> None:
    services.store.failures = [LedgerUnreachable("down", remedy="Wait.")] * 2
    with pytest.raises(ReconcileError):
        handler({}, Context())


def metrics(text: str) -> dict[str, Any]:
    (line,) = [line for line in text.splitlines() if '"_aws"' in line]
    return {name: value for name, value in json.loads(line).items() if name != "_aws"}


@pytest.mark.parametrize(
    ("ledger", "mismatch", "difference"), [(100, 0, 0.0), (300_000_100, 1, -3.0)]
)
def test_metrics_tell_the_state_and_the_difference(
    services: FakeServices,
    capfd: pytest.CaptureFixture[str],
    ledger: int,
    mismatch: int,
    difference: float,
) -> None:
    services.store.hold(ledger)
    handler({}, Context())
    told = metrics(capfd.readouterr().out)
    assert (told["SolvencyMismatch"], told["SolvencyUnreadable"]) == (mismatch, 0)
    assert told["VaultDifference"] == told["ContractDifference"] == difference


def test_metrics_of_an_outage_have_no_difference(
    services: FakeServices, capfd: pytest.CaptureFixture[str]
) -> None:
    services.vault.failures = [ContractUnreachable("it is down", remedy="Wait.")]
    handler({}, Context())
    shown = capfd.readouterr()
    told = metrics(shown.out)
    assert (told["SolvencyMismatch"], told["SolvencyUnreadable"]) == (0, 1)
    assert "VaultDifference" not in told
    assert '"error_code": "contract_unreachable"' in shown.err
