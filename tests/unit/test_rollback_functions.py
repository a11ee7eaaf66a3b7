"""The functions rollback and holds, through functions-framework, over fake services."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.access import ApiKey, Role, key_digest
from shared.core.amount import FlowAmount
from shared.core.errors import (
    InvalidReason,
    LedgerUnreachable,
    RunNotApplicable,
    RunNotFound,
    UserNotFound,
)
from shared.core.hold import Hold, HoldChange, HoldOutcome
from shared.core.rollback import Rollback, RollbackOutcome, RunRollback
from tests.fakes.fake_clock import FakeClock
from tests.unit.runs import RUN_ID, STARTED
from tests.unit.serving import KEY, served

FUNCTIONS = Path(__file__).parents[2] / "functions"
USER = "0x0000000000000201"
R = RollbackOutcome
DONE = Rollback(
    audit_id="9",
    outcome=R.ROLLED_BACK,
    user_address=USER,
    old_balance=FlowAmount(5),
    new_balance=FlowAmount(2**64 - 1),
    rollback_audit_id="10",
)
HELD = Hold(user_address=USER, held_at=STARTED, held_by="tester", reason="why")
VIEWER_KEY = "viewer-key-0123456789-0123456789-0123456"


class FakeServices:
    """Rollbacks and holds that record calls and answer with `answer`, or raise it."""

    def __init__(self) -> None:
        self.rollbacks = self.holds = self
        self.clock = FakeClock()
        self.calls: list[tuple[object, ...]] = []
        self.answer: object = DONE

    def audit(self, audit_id: str, admin: str, reason: str, *, dry_run: bool) -> Any:
        return self._answer("audit", audit_id, admin, reason, dry_run)

    def run(
        self,
        run_id: UUID,
        admin: str,
        reason: str,
        *,
        dry_run: bool,
        after: str | None,
        should_stop: Callable[[], bool],
    ) -> Any:
        assert not should_stop()
        return self._answer("run", run_id, admin, reason, dry_run, after)

    def hold(self, *asked: object) -> Any:
        return self._answer("hold", *asked)

    def release(self, *asked: object) -> Any:
        return self._answer("release", *asked)

    def list(self, *asked: object) -> Any:
        return self._answer("list", *asked)

    def _answer(self, *call: object) -> object:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        viewer = ApiKey("viewer", Role.VIEWER, key_digest(VIEWER_KEY)).line()
        admin = ApiKey("tester", Role.ADMIN, key_digest(KEY)).line()
        monkeypatch.setenv("RECONCILE_API_KEYS", f"{admin},{viewer}")
        yield fake


def ask(
    name: str, body: object = None, *, method: str = "POST", query: str = "", key: str = KEY
) -> TestResponse:
    source = str(FUNCTIONS / f"{name}.py")
    app = functions_framework.create_app(name, source)  # type: ignore[no-untyped-call]
    return Client(app).open(
        method=method,
        path="/",
        query_string=query,
        data=None if body is None else json.dumps(body),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )


def problem(response: TestResponse) -> tuple[int, str, bool]:
    body = json.loads(response.get_data())
    return response.status_code, body["code"], body["retryable"]


# -- rollback ---------------------------------------------------------------------------------


def test_a_correction_is_taken_back_in_the_callers_name(services: FakeServices) -> None:
    response = ask("rollback", {"auditId": "9", "reason": "ticket 7"})
    assert (response.status_code, json.loads(response.get_data())) == (200, DONE.as_json())
    assert services.calls == [("audit", "9", "tester", "ticket 7", False)]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("audit_not_found", 404),
        ("not_a_correction", 409),
        ("ledger_row_missing", 409),
        ("changed_meanwhile", 409),
    ],
)
def test_what_is_refused_is_a_problem_that_no_retry_helps(
    services: FakeServices, code: str, status: int
) -> None:
    services.answer = Rollback(audit_id="9", outcome=R.REFUSED, code=code)
    response = ask("rollback", {"auditId": "9", "reason": "x", "dryRun": True})
    assert problem(response) == (status, code, False)


def test_a_run_is_202_until_it_is_complete(services: FakeServices) -> None:
    services.answer = RunRollback(run_id=RUN_ID, dry_run=False, through=USER)
    response = ask("rollback", {"runId": str(RUN_ID), "reason": "x", "after": "0x01"})
    assert response.status_code == 202
    assert json.loads(response.get_data())["through"] == USER
    assert services.calls == [("run", RUN_ID, "tester", "x", False, "0x01")]
    services.answer = RunRollback(run_id=RUN_ID, dry_run=True, complete=True)
    assert ask("rollback", {"runId": str(RUN_ID), "reason": "x", "dryRun": True}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"auditId": "9"},
        {"reason": "x"},
        {"auditId": "9", "runId": str(RUN_ID), "reason": "x"},
        {"auditId": "9", "after": "0x01", "reason": "x"},
        {"runId": "latest", "reason": "x"},
        {"auditId": 9, "reason": "x"},
        {"auditId": "9", "reason": "x", "dryRun": "no"},
        {"auditId": "9", "reason": "x", "force": True},
    ],
)
def test_a_wrong_body_asks_nobody(services: FakeServices, body: object) -> None:
    assert problem(ask("rollback", body)) == (422, "invalid_input", False)
    assert services.calls == []


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (RunNotFound("gone", remedy="Look."), (404, "run_not_found", False)),
        (RunNotApplicable("goes on", remedy="Wait."), (409, "run_not_applicable", False)),
        (InvalidReason("blank", remedy="Say."), (422, "invalid_reason", False)),
        (LedgerUnreachable("down", remedy="Wait."), (503, "ledger_unreachable", True)),
    ],
)
def test_errors_are_problems(
    services: FakeServices, error: Exception, answer: tuple[int, str, bool]
) -> None:
    services.answer = error
    assert problem(ask("rollback", {"runId": str(RUN_ID), "reason": "x"})) == answer


def test_who_may_only_read_takes_nothing_back(services: FakeServices) -> None:
    response = ask("rollback", {"auditId": "9", "reason": "x"}, key=VIEWER_KEY)
    assert problem(response) == (403, "forbidden", False)
    assert services.calls == []


# -- holds ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "call"),
    [
        ({"action": "hold", "reason": "why"}, ("hold", USER, "tester", "why")),
        ({"action": "release"}, ("release", USER, "tester", None)),
        ({"action": "release", "reason": "ok"}, ("release", USER, "tester", "ok")),
    ],
)
def test_a_user_is_held_and_released(
    services: FakeServices, body: dict[str, str], call: tuple[object, ...]
) -> None:
    change = HoldChange(user_address=USER, outcome=HoldOutcome.HELD, hold=HELD)
    services.answer = change
    response = ask("holds", {"userAddress": USER, **body})
    assert (response.status_code, json.loads(response.get_data())) == (200, change.as_json())
    assert services.calls == [call]


@pytest.mark.parametrize(
    "body",
    [
        {"action": "hold"},
        {"action": "hold", "userAddress": USER},
        {"action": "keep", "userAddress": USER, "reason": "x"},
        {"userAddress": USER, "reason": "x"},
    ],
)
def test_a_wrong_hold_asks_nobody(services: FakeServices, body: object) -> None:
    assert problem(ask("holds", body)) == (422, "invalid_input", False)
    assert services.calls == []


def test_a_user_that_there_is_not_is_404(services: FakeServices) -> None:
    services.answer = UserNotFound("no such user", remedy="Look.")
    response = ask("holds", {"userAddress": USER, "action": "hold", "reason": "x"})
    assert problem(response) == (404, "user_not_found", False)


def test_holds_are_listed_for_viewers_page_by_page(services: FakeServices) -> None:
    services.answer = [HELD]
    response = ask("holds", method="GET", query="limit=1&after=0x01", key=VIEWER_KEY)
    assert json.loads(response.get_data()) == {"holds": [HELD.as_json()], "next": USER}
    assert services.calls == [("list", "0x01", 1)]
    last = json.loads(ask("holds", method="GET").get_data())
    assert (last["next"], services.calls[1]) == (None, ("list", None, 100))


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "by=1"])
def test_a_wrong_parameter_is_told(services: FakeServices, query: str) -> None:
    assert problem(ask("holds", method="GET", query=query)) == (400, "invalid_input", False)
    assert services.calls == []


def test_who_may_only_read_holds_nobody(services: FakeServices) -> None:
    body = {"userAddress": USER, "action": "hold", "reason": "x"}
    assert problem(ask("holds", body, key=VIEWER_KEY)) == (403, "forbidden", False)
    assert services.calls == []
