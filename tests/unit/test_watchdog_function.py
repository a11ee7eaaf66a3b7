"""The function watchdog, through functions-framework and as a Lambda function."""

import json
from collections.abc import Iterator
from pathlib import Path

import functions_framework
import pytest
from werkzeug.test import Client

from functions.watchdog import handler
from shared.core.errors import LedgerUnreachable
from shared.services.alerter import Delivered
from shared.services.deadline import ShouldStop
from shared.services.watchdog import Watched
from tests.fakes.fake_clock import FakeClock
from tests.lambda_context import Context
from tests.unit.serving import KEY, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "watchdog.py"
ANSWER = {
    "announced": 2,
    "overdue": True,
    "sent": 3,
    "failed": 1,
    "gaveUp": 0,
    "reports": 4,
    "openAlerts": 5,
}


class FakeServices:
    """Its own watchdog: answers, or raises `error`."""

    def __init__(self) -> None:
        self.watchdog = self
        self.clock = FakeClock()
        self.error: Exception | None = None
        self.ticks = 0

    def tick(self, should_stop: ShouldStop) -> Watched:
        if self.error is not None:
            raise self.error
        self.ticks += 1
        assert not should_stop()
        return Watched(
            announced=2,
            is_overdue=True,
            delivered=Delivered(sent=3, failed=1),
            reports=4,
            open_alerts=5,
        )


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("watchdog", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def test_a_schedule_gets_the_counts(services: FakeServices) -> None:
    assert handler({"detail-type": "Scheduled Event", "detail": {}}, Context()) == ANSWER
    assert services.ticks == 1


def test_a_post_gets_the_counts(client: Client) -> None:
    response = client.post("/", headers={"Authorization": f"Bearer {KEY}"})
    assert (response.status_code, json.loads(response.get_data())) == (200, ANSWER)


def test_nobody_else_may_post(client: Client, services: FakeServices) -> None:
    assert client.post("/").status_code == 401
    assert client.get("/", headers={"Authorization": f"Bearer {KEY}"}).status_code == 405
    assert services.ticks == 0


def test_what_fails_fails_the_call(client: Client, services: FakeServices) -> None:
    services.error = LedgerUnreachable(f"down {SECRET[:4]}", remedy="Wait.")
    response = client.post("/", headers={"Authorization": f"Bearer {KEY}"})
    assert (response.status_code, response.get_json(force=True)["code"]) == (
        503,
        "ledger_unreachable",
    )
    with pytest.raises(LedgerUnreachable):
        handler({}, Context())
