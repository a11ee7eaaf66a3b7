"""The dashboard over fakes, and a browser without a window that keeps cookies and finds tokens."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.access import ApiKey, Role, key_digest
from shared.core.alert_message import StoredAlert, StoredDelivery
from shared.core.errors import RunNotFound
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run, RunState
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.core.sweep_result import SweepResult
from shared.ports.run_search import ResultOrder
from shared.settings import settings
from tests.unit.serving import KEY, served

SOURCE = Path(__file__).parents[2] / "functions" / "dashboard.py"
SESSION_SECRET = "a-session-secret-of-more-than-32-characters"
VIEWER_KEY = "viewer-key-0123456789-0123456789-0123456789"
DELEGATE_KEY = "delegate-key-0123456789-0123456789-01234567"
HOST = "127.0.0.1:8080"

_TOKEN = re.compile(r'name="csrf_token" value="([0-9a-f]+)"')


@dataclass
class FakeSlots:
    """Lets everybody ask as often as is allowed, for a minute that never ends."""

    taken: dict[str, int] = field(default_factory=dict)

    def take(self, actor: str, per_min: int) -> float:
        if self.taken.get(actor, 0) >= per_min:
            return 41.5
        self.taken[actor] = self.taken.get(actor, 0) + 1
        return 0.0


@dataclass
class FakeRuns:
    """A run history; `failing` is raised by every call."""

    stored: list[Run] = field(default_factory=list)
    failing: Exception | None = None

    def list(self, limit: int = 50, before: UUID | None = None) -> "list[Run]":
        self._fail()
        ids = [run.run_id for run in self.stored]
        start = 0 if before is None else ids.index(before) + 1
        return self.stored[start : start + limit]

    def show(self, run_id: UUID) -> SweepResult:
        self._fail()
        for run in self.stored:
            if run.run_id == run_id:
                return SweepResult(run)
        raise RunNotFound(f"there is no run {run_id}", remedy="Look at the list.")

    def covering(self) -> Run | None:
        ended = (run for run in self.stored if run.state is RunState.FINISHED and not run.dry_run)
        return next(ended, None)

    def _fail(self) -> None:
        if self.failing is not None:
            raise self.failing


@dataclass
class FakeRunSearch:
    """The results of every run, searched as the real one does."""

    results: list[ReconciliationResult] = field(default_factory=list)
    rolled_back: int = 0

    def count_rolled_back(self, run_id: UUID) -> int:
        return self.rolled_back

    def find_results(
        self,
        run_id: UUID,
        *,
        search: str | None = None,
        order: ResultOrder = ResultOrder.ADDRESS,
        after: str | None = None,
        limit: int = 100,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        found = [each for each in self.results if outcomes is None or each.outcome in outcomes]
        found = [each for each in found if (search or "").lower() in each.user_address.lower()]
        found.sort(key=lambda each: each.user_address)
        if order is ResultOrder.DISCREPANCY:
            found.sort(key=lambda each: -abs(each.discrepancy or 0))
        keys = [each.user_address for each in found]
        start = 0 if after is None else keys.index(after) + 1
        return found[start : start + limit]


@dataclass
class FakeSolvency:
    """Checks that are stored, and what the next one finds."""

    checks: list[SolvencyCheck] = field(default_factory=list)
    next_check: SolvencyCheck | None = None
    asked: list[tuple[str, float | None]] = field(default_factory=list)

    def check(self, admin_address: str, *, left_s: float | None = None) -> SolvencyCheck:
        self.asked.append((admin_address, left_s))
        assert self.next_check is not None
        self.checks.insert(0, self.next_check)
        return self.next_check

    def latest(self) -> SolvencyCheck | None:
        return next(iter(self.checks), None)

    def list(self, before: UUID | None = None, limit: int = 50) -> "list[SolvencyCheck]":
        ids = [check.check_id for check in self.checks]
        start = 0 if before is None else ids.index(before) + 1
        return self.checks[start : start + limit]


@dataclass
class FakeAlerts:
    """Alerts and messages that are stored."""

    stored: list[StoredAlert] = field(default_factory=list)
    deliveries: list[StoredDelivery] = field(default_factory=list)

    def list_alerts(
        self, *, open_only: bool, before: UUID | None = None, limit: int = 50
    ) -> list[StoredAlert]:
        found = [alert for alert in self.stored if alert.is_open or not open_only]
        ids = [alert.alert_id for alert in found]
        start = 0 if before is None else ids.index(before) + 1
        return found[start : start + limit]

    def list_deliveries(
        self, *, undelivered: bool, before: int | None = None, limit: int = 50
    ) -> list[StoredDelivery]:
        return self.deliveries[:limit]


class FakeServices(SimpleNamespace):
    """Empty stores; other use cases are given by name: `FakeServices(holds=…)`."""

    def __init__(self, **others: Any) -> None:
        made = {
            "request_slots": FakeSlots(),
            "runs": FakeRuns(),
            "run_search": FakeRunSearch(),
            "solvency": FakeSolvency(),
            "alerts": FakeAlerts(),
            "run_actions": SimpleNamespace(works_in_line=True),
        }
        super().__init__(**{**made, **others})


@dataclass
class Browser:
    """Keeps cookies; sends forms as a browser does."""

    client: Client
    services: Any

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, base_url=f"http://{HOST}", headers=headers)

    def post(
        self,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **fields: str,
    ) -> TestResponse:
        """Sends a form with a token of this visitor's, or the one that is given."""
        sent = {"csrf_token": self.token() if token is None else token, **fields}
        if not sent["csrf_token"]:
            del sent["csrf_token"]
        same_site = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}
        return self.client.post(
            path,
            base_url=f"http://{HOST}",
            data=sent,
            headers=same_site if headers is None else headers,
        )

    def token(self) -> str:
        """Of a form made for whoever this browser belongs to now."""
        page = self.get("/no-such-page")
        if (found := _TOKEN.search(page.text)) is None:
            found = _TOKEN.search(self.get("/sign-in").text)
        assert found is not None
        return found[1]

    def sign_in(self, key: str = KEY, next_path: str = "/") -> TestResponse:
        return self.post("/sign-in/key", key=key, next=next_path)

    def cookie(self, name: str = "reconcile_session") -> str | None:
        found = self.client.get_cookie(name, domain="127.0.0.1")
        return None if found is None else found.value

    def set_cookie(self, value: str, name: str = "reconcile_session") -> None:
        self.client.set_cookie(name, value, domain="127.0.0.1")


def text_of(response: TestResponse) -> str:
    """What a page says, without its elements."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", response.text)))


def new_browser(services: Any) -> Browser:
    """One more, with no cookies yet, at the same dashboard."""
    app = functions_framework.create_app("dashboard", str(SOURCE))  # type: ignore[no-untyped-call]
    return Browser(Client(app), services)


@contextmanager
def dashboard(
    monkeypatch: pytest.MonkeyPatch, services: Any | None = None, **variables: str
) -> Iterator[Browser]:
    """The dashboard under functions-framework; `variables` are further settings."""
    services = FakeServices() if services is None else services
    keys = (
        ApiKey("tester", Role.ADMIN, key_digest(KEY)),
        ApiKey("watcher", Role.VIEWER, key_digest(VIEWER_KEY)),
        ApiKey("deputy", Role.DELEGATE, key_digest(DELEGATE_KEY)),
    )
    with served(monkeypatch, services):
        monkeypatch.setenv("RECONCILE_API_KEYS", ",".join(key.line() for key in keys))
        monkeypatch.setenv("RECONCILE_SESSION_SECRET", SESSION_SECRET)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        yield new_browser(services)


def check(number: int = 1, **changes: Any) -> SolvencyCheck:
    """A solvency check, `number` quarters of an hour ago."""
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) - timedelta(minutes=15 * number)
    fields = {
        "check_id": UUID(int=1_000 + number),
        "checked_at": at,
        "admin_address": "ADMIN",
        "state": SolvencyState.SOLVENT,
        "confirmed": False,
        "since": at,
        "tolerance": 1,
        "block_height": 1_000 - number,
        "ledger_total": 123_456_700_000_000,
        "ledger_users": 2_000,
        "negative_users": 0,
        "negative_total": 0,
        "unusable_users": 0,
        "respelled_users": 0,
        "vault_balance": 123_456_700_000_000,
        "contract_total": 123_456_700_000_000,
    }
    return SolvencyCheck(**{**fields, **changes})
