"""What the queue calls: work the chunks that its messages name. AWS Lambda behind SQS.

Answers with the messages that have to come again (`batchItemFailures`); after the queue's
maxReceiveCount they go to its dead-letter queue, and their chunks are `failed` by then. What there
is no time left for is queued anew. A message that comes twice does nothing the second time.
"""

import logging
from typing import Any

from shared.core.errors import InvalidMessage, ReconcileError
from shared.core.outcome import Outcome
from shared.core.queue_message import Message, decode
from shared.observe.context import count_results
from shared.observe.invocation import LambdaContext, lambda_left_s, lambda_request_id, observed

_log = logging.getLogger(__name__)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event` is SQS's `{"Records": [{"messageId": …, "body": …}, …]}`."""
    with observed("sweep_chunk", lambda_request_id(context)):
        return _worked(event, lambda_left_s(context))


def _worked(event: dict[str, Any], left_s: float) -> dict[str, Any]:
    from shared.bootstrap import services  # here, because importing both clients takes a second
    from shared.services.deadline import before_deadline

    messages, failed = _read(event["Records"])
    asked_for = services()
    handled = asked_for.queue_worker.handle(messages, before_deadline(asked_for.clock, left_s))
    failed.update(handled.failed)
    if handled.ended_phase:
        asked_for.announcer.announce_quietly()
    count_results(handled.named)
    for message_id, error in failed.items():
        _log.error("Message %s failed with %s: %s", message_id, error.code, error)
    for result in handled.named:
        if result.outcome is Outcome.FAILED:
            _log.error("User %s failed: %s", result.user_address, result.error)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _read(
    records: list[dict[str, Any]],
) -> tuple[dict[str, Message], dict[str, ReconcileError]]:
    messages: dict[str, Message] = {}
    failed: dict[str, ReconcileError] = {}
    for record in records:
        try:
            messages[record["messageId"]] = decode(record["body"])
        except InvalidMessage as error:
            failed[record["messageId"]] = error
    return messages, failed
