"""No function's log shows a secret, whatever fails, and every answer tells its request's id."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from functions import sweep as sweep_function
from functions.sweep_chunk import handler as sweep_chunk_handler
from shared.core.chunk_message import encode
from shared.core.errors import ContractUnreachable, InvalidSettings, LedgerBadAnswer
from shared.core.run import ChunkRef, Phase
from tests.unit.serving import KEY, SECRET, served
from tests.unit.test_tick import tick, world_of
from tests.unit.users import user
from tests.unit.webhooks import SECRET as WEBHOOK_SECRET
from tests.unit.webhooks import WebhookWorld, event
from tests.unit.webhooks import post as post_webhook

FUNCTIONS = Path(__file__).parents[2] / "functions"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJlLW9mLWl0"
TOLD = f"{SECRET} {JWT} Bearer {KEY} {WEBHOOK_SECRET} postgres://app:hunter22@db/x"
SECRETS = (SECRET, JWT, KEY, WEBHOOK_SECRET, "hunter22")
WORDS = ("reconcile_user", "dry_run_report", "sweep", "indexer_webhook")
ERRORS = [
    RuntimeError(TOLD),
    KeyError(TOLD),
    ContractUnreachable(TOLD, remedy=TOLD),
    LedgerBadAnswer(TOLD, remedy=TOLD),
    InvalidSettings(TOLD, remedy=TOLD),
]
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


class Broken:
    """Services of which whatever is asked for fails, for a reason that has one as well."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error from ValueError(f"{TOLD} in {name}")


class Context:
    """What Lambda gives a function besides its event."""

    aws_request_id = "lambda-7"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture(params=ERRORS, ids=lambda error: type(error).__name__)
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", WEBHOOK_SECRET)
    monkeypatch.setenv("RECONCILE_METRICS", "emf")
    monkeypatch.setenv("RECONCILE_LOG_LEVEL", "DEBUG")
    with served(monkeypatch, Broken(request.param)):
        yield


def client_of(function: str) -> Client:
    source = str(FUNCTIONS / f"{function}.py")
    return Client(functions_framework.create_app(function, source))  # type: ignore[no-untyped-call]


def asked(function: str, **headers: str) -> TestResponse:
    client = client_of(function)
    if function == "indexer_webhook":
        return post_webhook(client, event(1), "msg_1", **headers)
    if function == "dry_run_report":
        return client.get("/", headers=HEADERS | headers)
    body = {"userAddress": "0xf8d6e0586b0a20c7"} if function == "reconcile_user" else {}
    return client.post("/", data=json.dumps(body), headers=HEADERS | headers)


def scheduled() -> Any:
    return sweep_function.handler({}, Context())


def queued() -> Any:
    body = encode(ChunkRef(UUID(int=1), Phase.SCAN, 0))
    return sweep_chunk_handler({"Records": [{"messageId": "m", "body": body}]}, Context())


def logged(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines of stderr and stdout, none of which shows a secret."""
    out, err = captured.readouterr()
    for secret in SECRETS:
        assert secret not in out + err
    return [json.loads(line) for line in (err + out).splitlines()]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("function", WORDS)
def test_what_fails_by_http_shows_no_secret(
    function: str, capsys: pytest.CaptureFixture[str]
) -> None:
    response = asked(function, **{"X-Request-Id": "r-1"})
    assert response.status_code >= 500
    *_, ended, metrics = logged(capsys)
    assert (ended["message"], ended["function"]) == (f"{function} ended", function)
    assert (ended["status"], ended["request_id"]) == (response.status_code, "r-1")
    assert ended["error_code"] == json.loads(response.get_data())["code"]
    assert (metrics["Function"], metrics["RequestId"]) == (function, "r-1")


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("invoke", [scheduled, queued])
def test_what_fails_on_lambda_shows_no_secret(
    invoke: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match="lambda-7") as told:
        invoke()
    assert not [secret for secret in SECRETS if secret in str(told.value)]
    failed, ended, _ = logged(capsys)
    assert (failed["request_id"], failed["level"]) == ("lambda-7", "ERROR")
    assert failed["error"]["cause"]["type"] == "ValueError"
    assert ended["error_code"] == failed["error"].get("code", "internal_error")


@pytest.mark.parametrize("function", WORDS)
def test_a_refused_token_is_not_logged(
    function: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", WEBHOOK_SECRET)
    monkeypatch.setenv("SUPABASE_JWT_SECRET", "0123456789abcdef0123456789abcdef")
    with served(monkeypatch):
        headers = {"Authorization": f"Bearer {JWT}", "Webhook-Signature": f"v1,{JWT}"}
        assert asked(function, **headers).status_code == 401
    assert logged(capsys)[-1]["error_code"] == "unauthorized"


@pytest.mark.parametrize("given", ["r-1", "0af7651916cd43dd8448eb211c80319c"])
@pytest.mark.parametrize("path", ["/", "/x", "/robots.txt"])
def test_a_callers_id_comes_back(monkeypatch: pytest.MonkeyPatch, given: str, path: str) -> None:
    with served(monkeypatch):
        response = client_of("reconcile_user").get(path, headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 101, "a b", "<script>", "ä"])
def test_without_a_usable_id_one_is_made(
    monkeypatch: pytest.MonkeyPatch, given: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(monkeypatch):
        headers = {} if given is None else {"X-Request-Id": given}
        response = client_of("reconcile_user").get("/", headers=headers)
    made = response.headers["X-Request-Id"]
    assert UUID(made)
    assert logged(capsys)[-1]["request_id"] == made


def test_on_lambda_a_request_has_lambdas_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch):
        answer = sweep_function.handler(
            {
                "httpMethod": "GET",
                "path": "/sweep",
                "headers": {},
                "multiValueHeaders": {},
                "queryStringParameters": None,
                "multiValueQueryStringParameters": None,
                "requestContext": {"requestId": "gateway", "path": "/dev/sweep"},
                "body": None,
                "isBase64Encoded": False,
            },
            Context(),
        )
    assert answer["statusCode"] == 405
    headers = {**answer.get("headers", {}), **answer.get("multiValueHeaders", {})}
    found = {name.lower(): value for name, value in headers.items()}["x-request-id"]
    assert found in ("lambda-7", ["lambda-7"])


def emitted(captured: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics of the one call that was made."""
    [line] = captured.readouterr().out.splitlines()
    metrics: dict[str, Any] = json.loads(line)
    return metrics


def test_the_webhook_tells_how_many_blocks_it_lags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", WEBHOOK_SECRET)
    monkeypatch.setenv("RECONCILE_METRICS", "emf")
    world = WebhookWorld({user(1): 10}, {user(1): 11})
    world.contract.seal(7)
    with served(monkeypatch, world):
        sent = event(1, height=world.contract.height - 5)
        assert post_webhook(client_of("indexer_webhook"), sent).status_code == 200
    metrics = emitted(capsys)
    assert (metrics["LagBlocks"], metrics["Corrected"], metrics["UsersChecked"]) == (5, 1, 1)


def test_the_schedule_tells_how_old_the_last_run_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILE_METRICS", "emf")
    world = world_of()
    tick(world)
    world.clock.advance(3_600)
    with served(monkeypatch, world):
        sweep_function.handler({"dryRun": True}, Context())
    metrics = emitted(capsys)
    assert metrics["SweepAgeS"] == pytest.approx(3_600, abs=1)
    assert metrics["DurationMs"] > 0
