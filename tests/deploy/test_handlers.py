"""Every deployed handler, from the deployed zip and nothing else, on the real local stack."""

import csv
import io
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import pytest
from standardwebhooks import Webhook

from tests.conftest import LedgerTables, new_addresses
from tests.deploy.deployment import STAGE, Deployment
from tests.deploy.events import Event, api_event, as_json, queue_event, rule_event
from tests.receivers import WebhookServer

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
            if target["Arn"] == deployment.functions["sweep"]["FunctionArn"]
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


def test_solvency_is_checked_by_its_schedule_and_by_the_api(
    deployment: Deployment, credentials: dict[str, str], truth: dict[str, int]
) -> None:
    assert truth
    invoked = deployment.invoke(
        "solvency",
        rule_event("arn:aws:events:us-east-1:123456789012:rule/own"),
        api_event("solvency", as_json({}), headers=credentials),
        api_event("solvency", method="GET", headers=credentials),
        api_event("solvency", method="GET"),
    )

    scheduled, posted, listed, refused = invoked.answers
    assert scheduled["errorCode"] is None, (scheduled, invoked.printed)
    made = json.loads(posted["body"])
    assert (made["vaultBalance"], made["adminAddress"]) == (scheduled["vaultBalance"], "ops")
    assert json.loads(listed["body"]) == {"checks": [made]}
    assert refused["statusCode"] == 401
    assert "VaultDifference" in metrics(invoked.printed)


@pytest.mark.usefixtures("ledger_rows")
def test_watchdog_tells_a_topics_subscriber_and_a_url_of_what_is_overdue(
    deployment: Deployment, queue: "SQSClient"
) -> None:
    event = rule_event("arn:aws:events:us-east-1:123456789012:rule/own")
    with WebhookServer().serving() as webhook, _subscribed(deployment, queue) as inbox:
        env = {
            "RECONCILE_ALERT_URLS": f"json://127.0.0.1:{webhook.port}/alerts",
            "RECONCILE_OVERDUE_HOURS": "0.000001",
        }

        invoked = deployment.invoke("watchdog", event, event, event, env=env)

        first, second, third = invoked.answers
        assert (first.get("overdue"), second.get("overdue")) == (False, True), invoked.printed
        assert [each["sent"] for each in (first, second, third)] == [0, 2, 0]
        (body,) = webhook.bodies
        assert body["title"].startswith(f"[{STAGE}] CRITICAL: No run has covered the ledger")
        (told,) = queue.receive_message(QueueUrl=inbox)["Messages"]
        assert json.loads(told["Body"])["Subject"] == body["title"]


@contextmanager
def _subscribed(deployment: Deployment, client: "SQSClient") -> Iterator[str]:
    """A queue that gets what the topic of alerts is told."""
    variables = deployment.functions["watchdog"]["Environment"]["Variables"]
    inbox = client.create_queue(QueueName="inbox")["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])
    with closing(deployment.session.client("sns", endpoint_url=deployment.aws)) as sns:
        subscription = sns.subscribe(
            TopicArn=variables["RECONCILE_ALERT_TOPIC_ARN"],
            Protocol="sqs",
            Endpoint=found["Attributes"]["QueueArn"],
            ReturnSubscriptionArn=True,
        )
        yield inbox
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    client.delete_queue(QueueUrl=inbox)


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


def test_dashboard_signs_in_below_its_stage(
    deployment: Deployment, api_key: str, ledger_rows: LedgerTables
) -> None:
    ledger_rows.insert({})
    opened = deployment.invoke(
        "dashboard",
        api_event("dashboard", method="GET"),
        api_event("dashboard", method="GET", below="sign-in", query={"next": "/runs"}),
    )
    to_sign_in, page = opened.answers
    assert to_sign_in["multiValueHeaders"]["Location"] == [
        f"/{STAGE}/dashboard/sign-in?next=%2F"
    ], opened.printed
    (token,) = set(re.findall(r'name="csrf_token" value="(\w+)"', _text(page)))
    (visitor,) = page["multiValueHeaders"]["Set-Cookie"]
    (style,) = re.findall(r'href="/[^"]*/(assets/style[^"]*)"', _text(page))

    form = {"csrf_token": token, "key": api_key, "next": "/runs"}
    sent = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": visitor.partition(";")[0],
    }
    posted = deployment.invoke(
        "dashboard", api_event("dashboard", _form(form), headers=sent, below="sign-in/key")
    )
    (signed_in,) = posted.answers
    assert signed_in["multiValueHeaders"]["Location"] == [f"/{STAGE}/dashboard/runs"], (
        signed_in,
        posted.printed,
    )
    session = signed_in["multiValueHeaders"]["Set-Cookie"][0]
    assert {"Secure", "HttpOnly", "SameSite=Lax", f"Path=/{STAGE}/dashboard"} <= set(
        session.split("; ")
    )

    cookie = {"Cookie": session.partition(";")[0]}
    shown = deployment.invoke(
        "dashboard",
        *(
            api_event("dashboard", method="GET", headers=cookie, below=path)
            for path in ("runs", "solvency", "alerts", style)
        ),
        api_event("dashboard", method="GET", headers=cookie),
    )
    assert [answer.get("statusCode") for answer in shown.answers] == [200] * 5, shown.printed
    assert f'href="/{STAGE}/dashboard/runs"' in _text(shown.answers[0])


def _form(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode()


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
