"""AWS on this machine: moto's server with the queue of chunks, its dead-letter queue and a topic.

moto and boto3 take a second to import, so that is done where they are used.
"""

import json
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.run import ATTEMPTS_MAX
from tools.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

REGION = "us-east-1"

# Names as serverless.yml makes them, for a stage "local".
_PREFIX = "balance-reconciliation-local"

# A profile or endpoint of the developer's own must not lead a part to the real AWS.
_OTHERS = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


@dataclass(frozen=True)
class LocalAws:
    """Where things are."""

    url: str
    queue_url: str
    dead_letter_url: str
    topic_arn: str


@contextmanager
def local_aws(*, visibility_s: float) -> Iterator[LocalAws]:
    """Starts moto's server, makes the queues and the topic, and ends it again.

    The environment of this process, and of those that it starts, then leads there. A message that
    failed can be received again after `visibility_s`, which is at least the chunks' lease.
    """
    from moto.server import ThreadedMotoServer

    # It would tell each request, and the worker asks for messages all the time.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address=LOOPBACK, port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        _lead_to(f"http://{host}:{port}")
        aws = _made(f"http://{host}:{port}", visibility_s)
        os.environ["RECONCILE_QUEUE_URL"] = aws.queue_url
        os.environ["RECONCILE_ALERT_TOPIC_ARN"] = aws.topic_arn
        yield aws
    finally:
        server.stop()


def _lead_to(url: str) -> None:
    for name in _OTHERS:
        os.environ.pop(name, None)
    os.environ.update(
        AWS_ENDPOINT_URL=url,
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID="local",
        AWS_SECRET_ACCESS_KEY="local",
        AWS_EC2_METADATA_DISABLED="true",
    )


def _made(url: str, visibility_s: float) -> LocalAws:
    import boto3

    session = boto3.session.Session()
    sqs, sns = session.client("sqs"), session.client("sns")
    dead_letter_url = sqs.create_queue(QueueName=f"{_PREFIX}-chunks-dead")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": _arn(sqs, dead_letter_url),
        "maxReceiveCount": ATTEMPTS_MAX,
    }
    queue = sqs.create_queue(
        QueueName=f"{_PREFIX}-chunks",
        Attributes={
            "VisibilityTimeout": str(math.ceil(visibility_s)),
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    topic = sns.create_topic(Name=f"{_PREFIX}-alerts")
    sqs.close()
    sns.close()
    return LocalAws(url, queue["QueueUrl"], dead_letter_url, topic["TopicArn"])


def _arn(sqs: "SQSClient", queue_url: str) -> str:
    answer = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]
