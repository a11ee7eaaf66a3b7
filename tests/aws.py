"""AWS on this machine, for tests: moto's server and queues in it.

moto and boto3 are imported where they are used: most sessions need neither.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING

import pytest

from shared.core.run import ATTEMPTS_MAX

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

TAKEN_MAX = 10
"""Messages that SQS gives in one call."""


@dataclass(frozen=True)
class SqsQueue:
    """A queue and its dead-letter queue, with a client to look into them."""

    client: "SQSClient"
    url: str
    dead_letter_url: str

    def take(self, url: str | None = None) -> list["MessageTypeDef"]:
        """The messages that can be received now, at most ten; they stay until they are deleted."""
        answer = self.client.receive_message(
            QueueUrl=url or self.url, MaxNumberOfMessages=TAKEN_MAX, AttributeNames=["All"]
        )
        return answer.get("Messages", [])

    def drain(self, url: str | None = None) -> list[str]:
        """The bodies of all messages that can be received now, deleted from the queue."""
        bodies: list[str] = []
        while messages := self.take(url):
            self.delete(messages, url)
            bodies += [message["Body"] for message in messages]
        return bodies

    def delete(self, messages: list["MessageTypeDef"], url: str | None = None) -> None:
        """As a worker does that has handled them."""
        self.client.delete_message_batch(
            QueueUrl=url or self.url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ],
        )

    def hand_back(self, message: "MessageTypeDef") -> None:
        """As a worker does that has failed: the message can be received again at once."""
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )

    def delayed(self) -> int:
        """How many messages wait for their delay to pass."""
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])
        return int(answer["Attributes"]["ApproximateNumberOfMessagesDelayed"])


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """The URL of moto's server, one a session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Lets boto3 speak to moto's server, whatever this machine's own AWS settings are."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_SQS", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return aws_server


@pytest.fixture
def sqs(aws: str) -> Iterator[SqsQueue]:
    """A new queue, with a dead-letter queue behind it."""
    import boto3

    client = boto3.session.Session().client("sqs", endpoint_url=aws)
    name = f"chunks-{secrets.token_hex(4)}"
    dead_letter_url = client.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    attributes = client.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": attributes["Attributes"]["QueueArn"],
        "maxReceiveCount": ATTEMPTS_MAX,
    }
    created = client.create_queue(QueueName=name, Attributes={"RedrivePolicy": dumps(redrive)})
    yield SqsQueue(client, created["QueueUrl"], dead_letter_url)
    client.close()
