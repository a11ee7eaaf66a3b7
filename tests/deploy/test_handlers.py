"""Every deployed handler, from the deployed zip and nothing else, on the real local stack."""

import csv
import io
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from standardwebhooks import Webhook

from tests.conftest import LedgerTables, new_addresses
from tests.deploy.deployment import STAGE, Deployment
from tests.deploy.events import Event, api_event, as_json, queue_event, rule_event

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

Give = Callable[[Mapping[str, int]], None]

WRONG = 7
ROUNDS_MAX = 5


@pytest.fixture
def truth(ledger_rows: LedgerTables, contract_balances: Give) -> dict[str, int]:
    """What the contract says about the ledger's three users; the ledger has the last one right."""
    truth = {user: 1_000 + number for number, user in enumerate(new_addresses(3))}
    contract_balances(truth)
    right = list(truth)[-1]
    ledger_rows.insert({user: WRONG for user in truth if user != right} | {right: truth[right]})
    return truth


@pytest.fixture
def credentials(api_key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"}


@pytest.fixture
def queue(deployment: Deployment) -> Iterator["SQSClient"]:
    """The deployed queue, emptied."""
    with closing(deployment.session.client("sqs", endpoint_url=deployment.aws)) as client:
        while messages := _received(deployment, client):
            _delete(deployment, client, messages)
        yield client


def _received(deployment: Deployment, client: "SQSClient") -> list["MessageTypeDef"]:
    answer = client.receive_message(
        QueueUrl=deployment.queue_url("chunks"),
        MaxNumberOfMessages=10,
        AttributeNames=["All"],
        WaitTimeSeconds=1,
    )
    return answer.get("Messages", [])


def _delete(deployment: Deployment, client: "SQSClient", messages: list["MessageTypeDef"]) -> None:
    for message in messages:
        client.delete_message(
            QueueUrl=deployment.queue_url("chunks"), ReceiptHandle=message["ReceiptHandle"]
        )


def schedule_inputs(deployment: Deployment) -> dict[bool, Event]:
    """What the schedules give sweep, by whether that is an incremental run."""
    with closing(deployment.session.client("events", endpoint_url=deployment.aws)) as client:
        targets = [
            target
            for rule in client.list_rules()["Rules"]
            for target in client.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        ]
    inputs: list[Event] = [json.loads(target["Input"]) for target in targets]
    return {each["incremental"]: each for each in inputs}


def work_queue(deployment: Deployment, queue: "SQSClient") -> str:
    """As the event source mapping: sweep_chunk gets what is in the queue, until nothing is.

    Returns what the functions printed.
    """
    printed = ""
    for _ in range(ROUNDS_MAX):
        messages = _received(deployment, queue)
        if not messages:
            return printed
        event = queue_event(messages, deployment.mapping["EventSourceArn"])
        invoked = deployment.invoke("sweep_chunk", event)
        assert invoked.answers == [{"batchItemFailures": []}], invoked.printed
        printed += invoked.printed
        _delete(deployment, queue, messages)
    raise AssertionError("the queue does not become empty")


def metrics(printed: str) -> dict[str, Any]:
    """The sum of what the functions told CloudWatch, in its embedded metric format."""
    total: dict[str, Any] = {}
    for line in printed.splitlines():
        if line.startswith("{") and "_aws" in (told := json.loads(line)):
            assert told["Stage"] == STAGE
            for name, value in told.items():
                if isinstance(value, int | float):
                    total[name] = total.get(name, 0) + value
    return total


def test_reconcile_user_corrects_whom_the_api_names(
    deployment: Deployment,
    credentials: dict[str, str],
    truth: dict[str, int],
    ledger_rows: LedgerTables,
) -> None:
    user, *_ = truth
    body = as_json({"userAddress": user})

    invoked = deployment.invoke(
        "reconcile_user",
        api_event("reconcile_user", body),
        api_event("reconcile_user", body, headers=credentials),
        api_event("reconcile_user", method="GET", headers=credentials),
    )

    statuses = [answer.get("statusCode") for answer in invoked.answers]
    assert statuses == [401, 200, 405], (invoked.answers, invoked.printed)
    assert json.loads(invoked.answers[1]["body"])["success"] is True
    assert ledger_rows.balances()[user] == truth[user]
    (row,) = ledger_rows.audit()
    assert (row.user_address, row.transaction_hash) == (user, "reconciliation_by_ops")


def test_a_token_of_supabase_is_taken_for_whom_it_names(
    deployment: Deployment,
    secret_settings: Mapping[str, str],
    stack_settings: Mapping[str, str],
    truth: dict[str, int],
    ledger_rows: LedgerTables,
) -> None:
    def token(role: str) -> dict[str, str]:
        claims = {
            "iss": f"{stack_settings['SUPABASE_URL'].rstrip('/')}/auth/v1",
            "aud": "authenticated",
            "exp": int(datetime.now(UTC).timestamp()) + 600,
            "sub": "5f0c8a3e-6a57-4a3e-9b1d-3f0a5f0f9c11",
            "email": f"{role}@example.com",
            "app_metadata": {"role": role},
        }
        encoded = jwt.encode(claims, secret_settings["SUPABASE_JWT_SECRET"], "HS256")
        return {"Authorization": f"Bearer {encoded}"}

    user, *_ = truth
    body = as_json({"userAddress": user})

    invoked = deployment.invoke(
        "reconcile_user",
        api_event("reconcile_user", body, headers=token("viewer")),
        api_event("reconcile_user", body, headers=token("admin")),
    )

    statuses = [answer.get("statusCode") for answer in invoked.answers]
    assert statuses == [403, 200], (invoked.answers, invoked.printed)
    (row,) = ledger_rows.audit()
    assert row.transaction_hash == "reconciliation_by_admin@example.com"


def test_dry_run_report_answers_with_what_it_found_and_writes_nothing(
    deployment: Deployment,
    credentials: dict[str, str],
    truth: dict[str, int],
    ledger_rows: LedgerTables,
) -> None:
    before = ledger_rows.balances()

    invoked = deployment.invoke(
        "dry_run_report",
        api_event("dry_run_report", method="GET", headers=credentials, query={"format": "csv"}),
    )

    (answer,) = invoked.answers
    assert answer.get("statusCode") == 200, (answer, invoked.printed)
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/csv; charset=utf-8"]
    rows = list(csv.DictReader(io.StringIO(_text(answer))))
    drifted = [user for user in truth if before[user] != truth[user]]
    assert [row["user_address"] for row in rows] == drifted
    assert ledger_rows.balances() == before


@pytest.mark.parametrize("incremental", [False, True])
def test_a_schedule_and_the_queue_correct_everybody(
    incremental: bool,
    deployment: Deployment,
    truth: dict[str, int],
    queue: "SQSClient",
    ledger_rows: LedgerTables,
) -> None:
    invoked = deployment.invoke("sweep", schedule_inputs(deployment)[incremental])

    (planned,) = invoked.answers
    assert planned.get("queued") == 1, (planned, invoked.printed)
    printed = work_queue(deployment, queue)
    assert ledger_rows.balances() == truth
    told = metrics(invoked.printed + printed)
    assert (told["RunsFinished"], told["Corrected"]) == (1, 2)


def test_a_rule_without_an_input_of_its_own_sweeps_too(
    deployment: Deployment, truth: dict[str, int], queue: "SQSClient", ledger_rows: LedgerTables
) -> None:
    event = rule_event("arn:aws:events:us-east-1:123456789012:rule/own")

    invoked = deployment.invoke("sweep", event)

    assert invoked.answers[0].get("queued") == 1, invoked.printed
    work_queue(deployment, queue)
    assert ledger_rows.balances() == truth


def test_sweep_answers_an_admin_by_the_api(
    deployment: Deployment,
    credentials: dict[str, str],
    truth: dict[str, int],
    queue: "SQSClient",
    ledger_rows: LedgerTables,
) -> None:
    body = as_json({})

    invoked = deployment.invoke(
        "sweep", api_event("sweep", body), api_event("sweep", body, headers=credentials)
    )

    statuses = [answer.get("statusCode") for answer in invoked.answers]
    assert statuses == [401, 202], (invoked.answers, invoked.printed)
    run = json.loads(invoked.answers[1]["body"])["run"]
    assert (run["state"], run["adminAddress"]) == ("scanning", "ops")
    work_queue(deployment, queue)
    assert ledger_rows.balances() == truth


def test_sweep_fails_on_a_schedules_input_that_it_does_not_know(deployment: Deployment) -> None:
    (answer,) = deployment.invoke("sweep", {"incremetal": True}).answers
    assert "incremetal" in answer["error"]


def test_sweep_chunk_hands_back_a_message_that_it_does_not_know(deployment: Deployment) -> None:
    record = queue_event(
        [{"MessageId": "m1", "ReceiptHandle": "r", "Body": '{"schema": 99}', "MD5OfBody": "d"}],
        "arn:aws:sqs:us-east-1:123456789012:chunks",
    )
    invoked = deployment.invoke("sweep_chunk", record)
    assert invoked.answers == [{"batchItemFailures": [{"itemIdentifier": "m1"}]}]


def test_indexer_webhook_reconciles_whom_a_signed_message_names(
    deployment: Deployment,
    webhook_secret: str,
    contract_address: str,
    truth: dict[str, int],
    ledger_rows: LedgerTables,
) -> None:
    user, *_ = truth
    body = as_json(deposited(contract_address, user))
    signed_at = datetime.now(UTC)
    headers = {
        "webhook-id": f"msg_{user}",
        "webhook-timestamp": str(int(signed_at.timestamp())),
        "webhook-signature": Webhook(webhook_secret).sign(f"msg_{user}", signed_at, body.decode()),
    }

    invoked = deployment.invoke(
        "indexer_webhook",
        api_event("indexer_webhook", body),
        api_event("indexer_webhook", body, headers=headers),
    )

    refused, accepted = invoked.answers
    assert refused.get("statusCode") == 401, (refused, invoked.printed)
    assert accepted.get("statusCode") == 200, (accepted, invoked.printed)
    assert ledger_rows.balances()[user] == truth[user]
    (row,) = ledger_rows.audit()
    assert row.transaction_hash == "reconciliation_by_indexer"


def deposited(contract_address: str, user: str) -> dict[str, Any]:
    """An event as the Access API gives it."""
    kind = f"A.{contract_address.removeprefix('0x')}.OverflowGame.Deposited"
    fields = [
        {"name": "userAddress", "value": {"type": "Address", "value": user}},
        {"name": "amount", "value": {"type": "UFix64", "value": "0.00000001"}},
    ]
    payload = {"type": "Event", "value": {"id": kind, "fields": fields}}
    return {"type": kind, "block_height": 1, "transaction_id": "5f" * 32, "payload": payload}


def test_no_function_prints_a_secret(
    deployment: Deployment,
    api_key: str,
    credentials: dict[str, str],
    secret_settings: Mapping[str, str],
) -> None:
    body = as_json({"userAddress": "0x0000000000000001"})
    event = api_event("reconcile_user", body, headers=credentials)
    # A ledger that is down has its client print what it did.
    down = {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_REST_URL": "http://127.0.0.1:9"}

    invoked = deployment.invoke("reconcile_user", event, env=down)

    assert invoked.answers[0]["statusCode"] == 503
    said = json.dumps(invoked.answers) + invoked.printed
    for secret in (*secret_settings.values(), api_key):
        assert secret not in said


def _text(answer: dict[str, Any]) -> str:
    body: str = answer["body"]
    return b64decode(body).decode() if answer["isBase64Encoded"] else body
