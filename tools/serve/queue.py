"""`python -m tools.serve.queue URL`: what Lambda does behind SQS, with sweep_chunk, until SIGTERM.

A message that the function has dealt with is deleted. One that it has not is received again after
the queue's visibility timeout, and goes to the dead-letter queue when that has failed too often.
"""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from functions import sweep_chunk
from shared.adapters.sqs_chunk_queue import connect
from tools.serve.part import Invocation, stop_event

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

BATCH_SIZE = 10
"""Messages that SQS gives in one call."""
POLL_S = 0.3
TIMEOUT_S = 60.0

Handler = Callable[[dict[str, Any], Invocation], dict[str, Any]]


def main(queue_url: str) -> None:
    """Works the queue until SIGTERM; a batch that is under way then is finished first."""
    stop = stop_event()
    client = connect(queue_url)
    while not stop.is_set():
        if not work(client, queue_url, sweep_chunk.handler):
            stop.wait(POLL_S)


def work(client: "SQSClient", queue_url: str, handler: Handler) -> int:
    """Hands one batch to the function and deletes what it has dealt with; returns its size.

    When the function raises, the whole batch comes again, as on Lambda.
    """
    answer = client.receive_message(
        QueueUrl=queue_url, MaxNumberOfMessages=BATCH_SIZE, AttributeNames=["All"]
    )
    messages = answer.get("Messages", [])
    if not messages:
        return 0
    try:
        failed = _invoke(handler, messages)
    except Exception as error:
        print(f"sweep_chunk failed with {type(error).__name__}: {error}", flush=True)
        failed = {message["MessageId"] for message in messages}
    done = [message for message in messages if message["MessageId"] not in failed]
    if done:
        client.delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(done)
            ],
        )
    print(f"messages: {len(messages)}, to come again: {len(failed)}", flush=True)
    return len(messages)


def record(message: "MessageTypeDef") -> dict[str, Any]:
    """A received message as Lambda's event has it."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
    }


def _invoke(handler: Handler, messages: list["MessageTypeDef"]) -> set[str]:
    event = {"Records": [record(message) for message in messages]}
    answer = handler(event, Invocation("sweep_chunk", TIMEOUT_S))
    return {each["itemIdentifier"] for each in answer["batchItemFailures"]}


if __name__ == "__main__":
    main(sys.argv[1])
