"""Messages to the webhook: signed as Standard Webhooks says, and sent until they are taken."""

import json
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from standardwebhooks import Webhook

TIMEOUT_S = 120.0
"""Longer than the webhook takes for as many users as one message may name."""
WAIT_S_MAX = 60.0

_AGAIN = frozenset({408, 409, 429})
"""Refusals that pass by themselves; so may every server error."""
_BACKOFF_BASE_S = 0.5


class Refused(Exception):
    """The webhook will not take a message, however often it is sent. The text says why."""


class WebhookSender:
    """Sends one message after the other; a message keeps its id however often it is sent."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        tell: Callable[[str], None] = lambda line: None,
        client: httpx.Client | None = None,
    ) -> None:
        """`secret` is `whsec_…`; `tell` gets a line when a message has to be sent again."""
        self._url = url
        self._webhook = Webhook(secret)
        self._tell = tell
        self._client = client or httpx.Client(timeout=TIMEOUT_S)

    def send(self, value: Any, stop: threading.Event) -> httpx.Response | None:
        """Send until it is taken; the answer, or None when `stop` was set before. Raises Refused.

        Waits as long as `Retry-After` says, WAIT_S_MAX at most, and otherwise longer each time.
        """
        body = json.dumps(value)
        message_id = f"msg_{uuid4().hex}"
        attempt = 0
        while not stop.is_set():
            answer = self._post(message_id, body)
            if isinstance(answer, httpx.Response) and answer.is_success:
                return answer
            attempt += 1
            wait_s = _wait_s(answer, attempt)
            self._tell(f"not taken ({_reason(answer)}): again in {wait_s:.1f} s")
            stop.wait(wait_s)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _post(self, message_id: str, body: str) -> httpx.Response | httpx.TransportError:
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": self._webhook.sign(message_id, now, body),
        }
        try:
            answer = self._client.post(self._url, content=body.encode(), headers=headers)
        except httpx.TransportError as error:
            return error
        if 300 <= answer.status_code < 500 and answer.status_code not in _AGAIN:
            raise Refused(_reason(answer))
        return answer


def _wait_s(answer: httpx.Response | httpx.TransportError, attempt: int) -> float:
    if isinstance(answer, httpx.Response):
        given = answer.headers.get("Retry-After", "")
        if given.isascii() and given.isdigit():
            return min(float(given), WAIT_S_MAX)
    longest_s: float = min(WAIT_S_MAX, _BACKOFF_BASE_S * 2 ** min(attempt, 10))
    return random.uniform(longest_s / 2, longest_s)


def _reason(answer: httpx.Response | httpx.TransportError) -> str:
    if isinstance(answer, httpx.TransportError):
        return type(answer).__name__
    try:
        problem = answer.json()
        return f"{answer.status_code} {problem['code']}: {problem['detail']}"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
