"""The queue worker of `make serve` on moto's SQS: what is deleted and what comes again."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.run import ATTEMPTS_MAX
from tests.aws import SqsQueue
from tools.serve.aws import local_aws
from tools.serve.queue import work

Handler = Callable[[dict[str, Any], object], dict[str, Any]]


def send(sqs: SqsQueue, *bodies: str) -> None:
    for body in bodies:
        sqs.client.send_message(QueueUrl=sqs.url, MessageBody=body)


def let_return(sqs: SqsQueue) -> None:
    """From now on a message that was received can be received again at once."""
    sqs.client.set_queue_attributes(QueueUrl=sqs.url, Attributes={"VisibilityTimeout": "0"})


def failing(*bodies: str) -> Handler:
    """A function that fails at the messages with these bodies."""

    def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
        failed = [each["messageId"] for each in event["Records"] if each["body"] in bodies]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

    return handler


def test_what_was_dealt_with_is_deleted_and_what_failed_comes_again(sqs: SqsQueue) -> None:
    let_return(sqs)
    send(sqs, "one", "two", "three")
    assert work(sqs.client, sqs.url, failing("two")) == 3
    assert sqs.drain() == ["two"]


def test_after_an_exception_all_come_again(sqs: SqsQueue) -> None:
    def handler(*_: object) -> dict[str, Any]:
        raise RuntimeError("broken")

    let_return(sqs)
    send(sqs, "one", "two")
    work(sqs.client, sqs.url, handler)
    assert sorted(sqs.drain()) == ["one", "two"]


def test_what_fails_too_often_goes_to_the_dead_letter_queue(sqs: SqsQueue) -> None:
    let_return(sqs)
    send(sqs, "one")
    calls = 0
    while work(sqs.client, sqs.url, failing("one")):
        calls += 1
    assert calls == ATTEMPTS_MAX
    assert sqs.drain(sqs.dead_letter_url) == ["one"]


def test_a_record_has_what_lambda_gives(sqs: SqsQueue) -> None:
    records: list[dict[str, Any]] = []

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        records.extend(event["Records"])
        assert context.get_remaining_time_in_millis() > 0
        return {"batchItemFailures": []}

    send(sqs, "one")
    work(sqs.client, sqs.url, handler)
    assert (records[0]["body"], records[0]["eventSource"]) == ("one", "aws:sqs")
    assert records[0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_an_empty_queue_calls_nobody(sqs: SqsQueue) -> None:
    def handler(*_: object) -> dict[str, Any]:
        raise AssertionError

    assert work(sqs.client, sqs.url, handler) == 0


def test_aws_is_here_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name in (
        "AWS_ENDPOINT_URL",
        "AWS_DEFAULT_REGION",
        "RECONCILE_QUEUE_URL",
        "RECONCILE_ALERT_TOPIC_ARN",
    ):
        monkeypatch.setenv(name, "")  # put back in the end
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://sqs.eu-west-1.amazonaws.com")
    with local_aws(visibility_s=120.5) as aws:
        session = boto3.session.Session()
        sqs, sns = session.client("sqs"), session.client("sns")
        attributes = sqs.get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=["All"])
        topics = sns.list_topics()["Topics"]
        sqs.close()
        sns.close()
    assert aws.queue_url.startswith("http://127.0.0.1:")
    assert attributes["Attributes"]["VisibilityTimeout"] == "121"
    assert aws.topic_arn in [topic["TopicArn"] for topic in topics]
