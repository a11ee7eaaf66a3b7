"""A webhook's message is worked once: a replay gets the answer that the first one got.

While one is at work the same message is a 409, and its id with another body a 422. A message that
could not be worked is given back, so that its sender may try again at once.
"""

import hashlib
import json
import logging
import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from flask import Response

from shared.core.errors import ReconcileError
from shared.core.keyed_request import Begun, KeyedRequest, RequestState
from shared.http.answers import JSON_TYPE
from shared.http.problem import RETRY_AFTER_S, Problem
from shared.ports.requests import Idempotency

REPLAYED_HEADER = "Webhook-Replayed"
TTL_S = 3 * 24 * 3600.0
"""Longer than senders go on trying."""

_log = logging.getLogger(__name__)


def answered_once(
    message_id: str,
    body: bytes,
    work: Callable[[], tuple[int, Any]],
    *,
    messages: Idempotency,
    lease_s: float,
) -> Response:
    """What `work` answers, as status and JSON value, now or when the message came before.

    `lease_s` is longer than the work can take. Raises Problem, ReconcileError and what `work`
    raises.
    """
    request = KeyedRequest(
        function="indexer_webhook",
        actor="indexer",
        key=message_id,
        payload_hash=hashlib.sha256(body).hexdigest(),
        token=uuid4(),
    )
    begun = messages.begin(request, ttl_s=max(TTL_S, lease_s), lease_s=lease_s)
    if begun.state is not RequestState.NEW:
        return _known_already(begun)
    try:
        status, value = work()
    except BaseException:
        _abandon(messages, request)
        raise
    answer = json.dumps(value) + "\n"
    _keep(messages, request, status, answer)
    return Response(answer, status, content_type=JSON_TYPE)


def _known_already(begun: Begun) -> Response:
    if begun.state is RequestState.MISMATCH:
        raise Problem(
            422,
            "webhook_id_reused",
            "A message with this Webhook-Id said something else. Send each message under an id of "
            "its own, and again as it was.",
        )
    if begun.state is RequestState.IN_FLIGHT:
        raise Problem(
            409,
            "webhook_in_flight",
            "This message is being worked. Send it again later.",
            retryable=True,
            headers={"Retry-After": str(max(1, min(RETRY_AFTER_S, math.ceil(begun.wait_s))))},
        )
    headers = {REPLAYED_HEADER: "true"}
    return Response(begun.body, begun.status, headers=headers, content_type=JSON_TYPE)


def _keep(messages: Idempotency, request: KeyedRequest, status: int, answer: str) -> None:
    """What was done is done: a replay of what cannot be stored finds everybody in sync."""
    try:
        if not messages.finish(request, status=status, body=answer):
            _log.warning("A webhook's message took longer than its lease")
    except ReconcileError as error:
        _log.warning("The answer to a webhook's message is not stored: %s", error)


def _abandon(messages: Idempotency, request: KeyedRequest) -> None:
    try:
        messages.abandon(request)
    except ReconcileError as error:
        _log.warning("A webhook's message is not given back: %s", error)
