"""POST reconcile_user, through functions-framework, over a fake service."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.amount import FlowAmount
from shared.core.errors import InvalidSettings
from shared.core.outcome import Outcome, ReconciliationResult
from tests.unit.serving import KEY, NAME, SECRET, served

SOURCE = Path(__file__).parents[2] / "functions" / "reconcile_user.py"
USER = "0x0000000000000201"
CORRECTED = ReconciliationResult(
    user_address=USER,
    outcome=Outcome.CORRECTED,
    timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    old_balance=FlowAmount(100_000_000),
    new_balance=FlowAmount(2**64 - 1),
    discrepancy=FlowAmount(2**64 - 1 - 100_000_000),
    block_height=7,
    audit_id="9",
)


class FakeServices:
    """Its own user reconciler: records calls, answers with `answer` or raises it."""

    def __init__(self) -> None:
        self.user_reconciler = self
        self.calls: list[tuple[str, str]] = []
        self.answer: ReconciliationResult | Exception = CORRECTED

    def reconcile(self, user_address: str, admin_address: str) -> ReconciliationResult:
        self.calls.append((user_address, admin_address))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServices]:
    fake = FakeServices()
    with served(monkeypatch, fake):
        yield fake


@pytest.fixture
def client(services: FakeServices) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("reconcile_user", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def post(client: Client, body: Any = None, **changes: Any) -> TestResponse:
    """A good request with some of it replaced; a header of None is left out."""
    headers = {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        **changes.pop("headers", {}),
    }
    data = body if isinstance(body, bytes) else json.dumps(body or {"userAddress": USER})
    given = {name: value for name, value in headers.items() if value is not None}
    return client.open(**{"method": "POST", "path": "/", "data": data, "headers": given, **changes})


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """It is a problem of that status and code, with what all problems have."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    assert_common_headers(response)
    problem: dict[str, Any] = json.loads(response.get_data())
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["title"]
    assert problem["detail"]
    assert SECRET not in response.get_data(as_text=True)
    assert KEY not in response.get_data(as_text=True)
    return problem


def assert_common_headers(response: TestResponse) -> None:
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in response.headers


def failed(code: str, error: str = "It failed. Mend it.") -> ReconciliationResult:
    return CORRECTED.having(outcome=Outcome.FAILED, error=error, error_code=code)


def test_answers_with_the_result(client: Client, services: FakeServices) -> None:
    response = post(client)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert_common_headers(response)
    answer = json.loads(response.get_data())
    assert answer == CORRECTED.as_json()
    assert answer["newBalance"] == "184467440737.09551615"
    assert services.calls == [(USER, NAME)]


@pytest.mark.parametrize("given", [NAME, None])
def test_the_admin_is_the_caller(client: Client, services: FakeServices, given: str | None) -> None:
    assert post(client, {"userAddress": USER, "adminAddress": given}).status_code == 200
    assert services.calls == [(USER, NAME)]


def test_an_admin_cannot_act_for_another(client: Client, services: FakeServices) -> None:
    response = post(client, {"userAddress": USER, "adminAddress": "0x01"})
    assert_problem(response, 403, "forbidden")
    assert not services.calls


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("contract_unreachable", 503),
        ("contract_rate_limited", 503),
        ("contract_height_unavailable", 503),
        ("ledger_unreachable", 503),
        ("ledger_lock_timeout", 503),
        ("stale_height", 503),
        ("changed_meanwhile", 503),
        ("contract_timeout", 504),
        ("ledger_timeout", 504),
    ],
)
def test_passing_faults_are_retryable(
    client: Client, services: FakeServices, code: str, status: int
) -> None:
    services.answer = failed(code)
    response = post(client)
    problem = assert_problem(response, status, code)
    assert problem["retryable"] is True
    assert problem["detail"] == "It failed. Mend it."
    assert response.headers.get("Retry-After") == ("5" if status == 503 else None)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("contract_not_deployed", 502),
        ("contract_query_failed", 502),
        ("ledger_unauthorized", 502),
        ("ledger_invalid_value", 502),
        ("invalid_ledger_balance", 502),
        ("invalid_balance", 502),
        ("invalid_address", 422),
        ("invalid_admin", 422),
        ("ambiguous_address", 422),
    ],
)
def test_lasting_faults_are_not(
    client: Client, services: FakeServices, code: str, status: int
) -> None:
    services.answer = failed(code)
    response = post(client)
    assert assert_problem(response, status, code)["retryable"] is False
    assert "Retry-After" not in response.headers


def test_an_unknown_error_code_says_nothing(client: Client, services: FakeServices) -> None:
    services.answer = failed("surprise", SECRET)
    assert_problem(post(client), 500, "internal_error")


def test_an_exception_goes_to_the_log_and_not_to_the_caller(
    client: Client, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.answer = RuntimeError(f"connection to {SECRET} lost")
    response = post(client)
    assert_problem(response, 500, "internal_error")
    assert "Traceback" not in response.get_data(as_text=True)
    assert "RuntimeError" in caplog.text


def test_settings_found_wrong_late_are_not_named(
    client: Client, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.answer = InvalidSettings("FLOW_BALANCE_SCRIPT: no file", remedy="Give one.")
    response = post(client)
    assert_problem(response, 503, "invalid_settings")
    assert b"FLOW_BALANCE_SCRIPT" not in response.get_data()
    assert "FLOW_BALANCE_SCRIPT" in caplog.text


def test_without_a_key_nobody_is_served(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECONCILE_API_KEYS")
    problem = assert_problem(post(client, path="/x"), 503, "not_configured")
    assert problem["retryable"] is False
    assert not services.calls


def test_with_wrong_settings_nobody_is_served(
    client: Client, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOW_CONTRACT_ADDRESS", SECRET)
    response = post(client)
    assert_problem(response, 503, "invalid_settings")
    assert "Retry-After" not in response.headers
    assert not services.calls


@pytest.mark.parametrize("path", ["/x", "/x/", "/x//y", "/robots.txt", "/favicon.ico", "/%2e%2e/"])
def test_other_paths_are_not_found(client: Client, path: str) -> None:
    assert_problem(post(client, path=path), 404, "not_found")


def test_a_doubled_slash_is_no_redirect(client: Client) -> None:
    response = post(client, environ_overrides={"PATH_INFO": "//x"})
    assert_problem(response, 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    response = post(client, method=method, headers={"Authorization": None})
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


def test_head_is_refused_without_a_body(client: Client) -> None:
    response = post(client, method="HEAD")
    assert response.status_code == 405
    assert response.get_data() == b""


@pytest.mark.parametrize(
    ("given", "challenge"),
    [
        (None, 'Bearer realm="reconcile"'),
        ("", 'Bearer realm="reconcile"'),
        (KEY, 'Bearer realm="reconcile"'),
        (f"Basic {KEY}", 'Bearer realm="reconcile"'),
        ("Bearer", 'Bearer realm="reconcile", error="invalid_token"'),
        ("Bearer wrong", 'Bearer realm="reconcile", error="invalid_token"'),
        (f"Bearer {KEY}x", 'Bearer realm="reconcile", error="invalid_token"'),
        ("Bearer kéy", 'Bearer realm="reconcile", error="invalid_token"'),
    ],
)
def test_the_key_is_needed(
    client: Client, services: FakeServices, given: str | None, challenge: str
) -> None:
    # The body and its type are wrong too: the key is looked at first.
    response = post(client, b"{", headers={"Authorization": given, "Content-Type": "text/plain"})
    assert_problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == challenge
    assert not services.calls


def test_the_scheme_may_be_in_any_case(client: Client) -> None:
    assert post(client, headers={"Authorization": f"bearer  {KEY}"}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [None, "text/plain", "application/jsonp", "application/json; charset=latin-1", "application/x"],
)
def test_other_content_types_are_refused(client: Client, given: str | None) -> None:
    response = post(client, b"{", headers={"Content-Type": given})
    assert_problem(response, 415, "unsupported_media_type")


def test_compressed_bodies_are_refused(client: Client) -> None:
    response = post(client, headers={"Content-Encoding": "gzip"})
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "given", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
def test_utf_8_may_be_named(client: Client, given: str) -> None:
    assert post(client, headers={"Content-Type": given}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"userAddress=0x",
        b'{"userAddress": "\xff"}',
        b'\xef\xbb\xbf{"userAddress": "0x"}',
        b'{"userAddress": NaN}',
        b'{"userAddress": -Infinity}',
        b'{"userAddress": "0x", "userAddress": "0x"}',
        b'{"userAddress": {"a": 1, "a": 2}}',
        b"[" * 16_000,
        b'{"userAddress": ' + b"9" * 10_000 + b"}",
    ],
)
def test_malformed_bodies_are_refused(client: Client, services: FakeServices, body: bytes) -> None:
    assert_problem(post(client, body), 400, "malformed_body")
    assert not services.calls


def test_a_body_of_16_kib_is_read_and_a_larger_one_is_not(client: Client) -> None:
    body = json.dumps({"userAddress": USER}).encode()
    assert post(client, body.ljust(16 * 1024)).status_code == 200
    assert_problem(post(client, body.ljust(16 * 1024 + 1)), 413, "body_too_large")


def test_a_large_body_is_not_read_into_memory(client: Client) -> None:
    class Endless:
        """A body as long as somebody reads."""

        bytes_read = 0

        def read(self, size: int = -1) -> bytes:
            assert size >= 0
            self.bytes_read += size
            return b" " * size

    for key, status in ((KEY, 413), ("wrong", 401)):
        stream = Endless()
        response = client.open(
            "/",
            method="POST",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            environ_overrides={"wsgi.input": stream, "wsgi.input_terminated": True},
        )
        assert response.status_code == status
        assert int(response.headers["Content-Length"]) == len(response.get_data())
        assert stream.bytes_read < 1_000_000


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"adminAddress": "0x01"}, [("userAddress", "is missing")]),
        ({"userAddress": 1}, [("userAddress", "is not a string")]),
        ({"userAddress": None}, [("userAddress", "is not a string")]),
        ({"userAddress": USER, "adminAddress": 1}, [("adminAddress", "is not a string")]),
        ({"user_address": USER, "userAddress": USER}, [("user_address", "is not a known field")]),
        (
            {"userAddress": [], "dryRun": True},
            [("userAddress", "is not a string"), ("dryRun", "is not a known field")],
        ),
        ([USER], [("The body", "is not an object")]),
    ],
)
def test_wrong_fields_are_named(
    client: Client, services: FakeServices, body: Any, errors: list[tuple[str, str]]
) -> None:
    problem = assert_problem(post(client, body), 422, "invalid_input")
    assert [(each["field"], each["fault"]) for each in problem["errors"]] == errors
    assert all(each["remedy"] for each in problem["errors"])
    assert not services.calls


def test_what_a_field_holds_is_not_repeated(client: Client) -> None:
    assert_problem(post(client, {"userAddress": {"x": SECRET}}), 422, "invalid_input")
