"""Messages through real channels: webhooks and mail by apprise, a topic by SNS. Loopback alone."""

import json
import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.apprise_channels import AppriseChannel
from shared.adapters.sns_channel import SnsChannel
from shared.alerts.texts import TemplateTexts
from shared.core.alert import Severity
from shared.core.errors import AlertNotDelivered, InvalidSettings
from shared.ports.alerts import AlertText
from tests.receivers import MailServer, WebhookServer
from tests.unit.alerts import message
from tools.stack.ports import free_ports

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient
    from types_boto3_sqs import SQSClient

TEXT = TemplateTexts("prod", "https://ops.example").of(message())
TOKEN = "tok3n0123456789abcdefghijk"


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer().serving() as webhook:
        yield webhook


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer().serving() as server:
        yield server


def json_channel(port: int, options: str = "") -> AppriseChannel:
    return AppriseChannel(f"json://user:{TOKEN}@127.0.0.1:{port}/alerts{options}", 1)


# -- by apprise -------------------------------------------------------------------------------


def test_a_webhook_gets_the_whole_text(webhook: WebhookServer) -> None:
    json_channel(webhook.port).send(TEXT, Severity.CRITICAL)
    (body,) = webhook.bodies
    assert body["title"] == TEXT.title
    assert body["message"].strip() == TEXT.body.strip()
    assert body["type"] == "failure"


def test_a_chat_that_speaks_like_slack_gets_it(webhook: WebhookServer) -> None:
    channel = AppriseChannel(f"mmost://127.0.0.1:{webhook.port}/{TOKEN}", 1)
    channel.send(TEXT, Severity.WARNING)
    (body,) = webhook.bodies
    assert webhook.paths == [f"/hooks/{TOKEN}"]
    assert "The safety stop halted a run." in body["text"]
    assert "What to do: Check the address." in body["text"]


def test_a_mail_has_the_title_as_its_subject_and_the_text(mail_server: MailServer) -> None:
    address = f"127.0.0.1:{mail_server.port}"
    options = "mode=insecure&from=reconciler@example.com&to=ops@example.com,boss@example.com"
    AppriseChannel(f"mailto://{address}/?{options}", 1).send(TEXT, Severity.CRITICAL)
    assert {mail["To"] for mail in mail_server.mails} == {"ops@example.com", "boss@example.com"}
    mail = mail_server.mails[0]
    assert mail["Subject"] == TEXT.title
    body = mail.get_body(("html", "plain"))
    assert body is not None
    assert "Runbook: docs/runbook.md#run_halted" in body.get_content()


def test_a_service_that_refuses_says_why_and_shows_no_secret(
    webhook: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.status = 500
    channel = json_channel(webhook.port)
    with caplog.at_level(logging.DEBUG), pytest.raises(AlertNotDelivered) as refused:
        channel.send(TEXT, Severity.CRITICAL)
    assert "500" in str(refused.value)
    assert channel.name in str(refused.value)
    assert TOKEN not in str(refused.value) + channel.name + caplog.text


def test_a_service_that_is_down_is_an_error_that_does_not_name_it() -> None:
    (port,) = free_ports(1)
    with pytest.raises(AlertNotDelivered, match="onnection") as refused:
        json_channel(port).send(TEXT, Severity.CRITICAL)
    assert "127.0.0.1" not in str(refused.value)


def test_a_service_that_does_not_answer_is_not_waited_for_long(webhook: WebhookServer) -> None:
    webhook.hangs.set()
    began_s = time.monotonic()
    with pytest.raises(AlertNotDelivered):
        json_channel(webhook.port, "?rto=0.3").send(TEXT, Severity.CRITICAL)
    assert time.monotonic() - began_s < 4


@pytest.mark.parametrize("url", [f"nosuch://{TOKEN}", f"slack://{TOKEN}", "json://"])
def test_a_url_that_apprise_does_not_know_is_named_by_its_position(url: str) -> None:
    channel = AppriseChannel(url, 2)
    for attempt in (channel.check, lambda: channel.send(TEXT, Severity.INFO)):
        with pytest.raises((InvalidSettings, AlertNotDelivered), match="number 2") as refused:
            attempt()
        assert TOKEN not in str(refused.value)


def test_a_url_that_it_knows_is_fine(webhook: WebhookServer) -> None:
    json_channel(webhook.port).check()
    assert webhook.paths == []


def test_a_channels_name_tells_channels_apart_and_no_secret() -> None:
    one, other = AppriseChannel(f"slack://{TOKEN}/a", 1), AppriseChannel(f"slack://{TOKEN}/b", 2)
    assert one.name != other.name
    assert one.name.startswith("slack-")
    assert len(one.name) == len("slack-") + 8


# -- by SNS -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Topic:
    """A topic with one subscriber: a queue."""

    arn: str
    queue_url: str
    sqs: "SQSClient"

    def received(self) -> list[dict[str, Any]]:
        """What SNS has told the subscriber."""
        answer = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [json.loads(each["Body"]) for each in answer.get("Messages", [])]


@pytest.fixture
def topic(aws: str) -> Iterator[Topic]:
    import boto3

    session = boto3.session.Session()
    sns: SNSClient = session.client("sns", endpoint_url=aws)
    sqs: SQSClient = session.client("sqs", endpoint_url=aws)
    name = f"alerts-{secrets.token_hex(4)}"
    arn = sns.create_topic(Name=name)["TopicArn"]
    queue_url = sqs.create_queue(QueueName=name)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
    yield Topic(arn, queue_url, sqs)
    sns.close()
    sqs.close()


def test_a_topics_subscriber_gets_subject_text_and_severity(topic: Topic) -> None:
    channel = SnsChannel(topic.arn)
    channel.check()
    channel.send(TEXT, Severity.CRITICAL)
    (told,) = topic.received()
    assert told["Subject"] == TEXT.title
    assert told["Message"] == f"{TEXT.title}\n\n{TEXT.body}"
    assert told["MessageAttributes"]["severity"]["Value"] == "critical"


@pytest.mark.parametrize(
    "title", ["ä" * 200, "[prod] " + "x" * 200, "[prod] Resolved — „fine“", "a\tb"]
)
def test_sns_takes_every_title(topic: Topic, title: str) -> None:
    SnsChannel(topic.arn).send(AlertText(title, "body"), Severity.INFO)
    (told,) = topic.received()
    assert 0 < len(told["Subject"]) <= 100
    assert told["Subject"].isascii()
    assert told["Message"].startswith(title)


def test_a_topic_that_is_gone_is_an_error(topic: Topic) -> None:
    with pytest.raises(AlertNotDelivered, match="NotFound"):
        SnsChannel(f"{topic.arn}-gone").send(TEXT, Severity.INFO)


def test_sns_that_cannot_be_reached_is_an_error(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(AlertNotDelivered, match="cannot be reached"):
        SnsChannel(topic.arn).send(TEXT, Severity.INFO)
