"""What tests of the indexer's webhook share: its messages, signed or not, and a world behind it."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook
from werkzeug.test import Client, TestResponse

from shared.ports.chunk_queue import ChunkQueue
from tests.fakes.fake_access_node import event_payload
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_idempotency import FakeIdempotency
from tests.unit.users import user
from tests.unit.worlds import World

DEPOSITED = "A.f8d6e0586b0a20c7.OverflowGame.Deposited"
UNKNOWN = "A.f8d6e0586b0a20c7.OverflowGame.Paused"
SECRET = "whsec_" + base64.b64encode(b"first-secret-of-the-indexer!").decode()
NEXT_SECRET = "whsec_" + base64.b64encode(b"second-secret-of-the-indexer").decode()


class WebhookWorld(World):
    """A world that remembers the webhook's messages."""

    def __init__(
        self,
        ledger: Mapping[str, int | str | None] | None = None,
        contract: Mapping[str, int] | None = None,
        *,
        queue: ChunkQueue | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        super().__init__(ledger, contract, queue=queue, clock=clock)
        self.webhooks = FakeIdempotency(self.clock)


def payload(number: int, event_type: str = DEPOSITED, field: str = "userAddress") -> bytes:
    """The JSON-Cadence of an event that names a user."""
    amount = ("UFix64", "1.00000000")
    return event_payload(event_type, {field: ("Address", user(number)), "amount": amount})


def event(number: int, height: float | str | None = FIRST_HEIGHT, **changes: Any) -> dict[str, Any]:
    """An event as the Access API gives it, with some fields replaced."""
    known = {
        "type": DEPOSITED,
        "transaction_id": "ab" * 32,
        "transaction_index": "0",
        "event_index": "0",
        "payload": base64.b64encode(payload(number)).decode(),
    }
    return known | ({} if height is None else {"block_height": height}) | changes


def signed(
    body: bytes, message_id: str = "msg_1", secret: str = SECRET, age_s: float = 0
) -> dict[str, str]:
    """The headers of a message, signed some time ago."""
    moment = datetime.now(UTC) - timedelta(seconds=age_s)
    return {
        "Content-Type": "application/json",
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(int(moment.timestamp())),
        "Webhook-Signature": Webhook(secret).sign(message_id, moment, body.decode()),
    }


def post(
    client: Client, value: Any, message_id: str = "msg_1", /, **changes: str | None
) -> TestResponse:
    """Send a good message with some of its headers replaced; a header of None is left out."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    headers = {**signed(body, message_id), **changes}
    given = {name: each for name, each in headers.items() if each is not None}
    return client.post("/", data=body, headers=given)
