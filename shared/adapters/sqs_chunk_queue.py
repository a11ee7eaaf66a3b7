"""The queue of chunks on AWS SQS behind the port `ChunkQueue`.

boto3 is imported at the first send: a worker that sends nothing does not pay for it.
"""

import math
import random
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from shared.core.errors import QueueError
from shared.core.queue_message import Message, encode
from shared.ports.clock import Clock

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef as Failure
    from types_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef as Entry

BATCH_SIZE = 10
"""Messages that SQS takes in one call."""
DELAY_S_MAX = 900
"""The longest that SQS delays a message."""

_THREADS = 8
_CONNECT_TIMEOUT_S = 3
_READ_TIMEOUT_S = 5
_ATTEMPTS_MAX = 3
_BACKOFF_BASE_S = 0.1
_REGION = re.compile(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/")


def connect(queue_url: str) -> "SQSClient":
    """A client with our own timeouts and retries, in the region that the queue's URL names.

    The endpoint, the credentials and otherwise the region come from the environment, as boto3
    reads it (AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, …).
    """
    import boto3
    from botocore.config import Config

    region = _REGION.match(queue_url)
    # A session of its own: the one that boto3 shares is not safe for threads.
    return boto3.session.Session().client(
        "sqs",
        region_name=region[1] if region else None,
        config=Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX},
            max_pool_connections=_THREADS,
        ),
    )


class SqsChunkQueue:
    """Sends to one queue; one client, made at first use and kept. Safe for threads.

    After a QueueError some messages may not be in the queue, and some may be in it twice (SQS took
    them, but its answer was lost). Neither harms: the next tick sends what nobody works on, a
    chunk that is leased or closed is not worked on again, and users are in sync by then.
    """

    def __init__(
        self,
        queue_url: str,
        clock: Clock,
        connect: Callable[[str], "SQSClient"] = connect,
    ) -> None:
        self._queue_url = queue_url
        self._clock = clock
        self._connect = connect
        self._client: SQSClient | None = None
        self._client_lock = Lock()

    def send(self, messages: Sequence[Message], delay_s: float = 0.0) -> None:
        """Queue a message for each, delayed by whole seconds, rounded up, 900 at most.

        Raises QueueError. A fault of a whole call ends the sending; when SQS refuses single
        messages, the others are still sent.
        """
        batches = _batches(messages, delay_seconds(delay_s))
        if not batches:
            return
        with ThreadPoolExecutor(min(_THREADS, len(batches)), "sqs-send") as pool:
            # When one raises, map cancels those that have not started.
            failures = [each for kept in pool.map(self._send_batch, batches) for each in kept]
        if failures:
            raise _refused(failures[0], len(failures), len(messages))

    def close(self) -> None:
        """Close the connections; the next send would open others."""
        with self._client_lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _send_batch(self, entries: list["Entry"]) -> list["Failure"]:
        """Send up to ten messages, again what SQS failed at; returns what it would not take."""
        failures: list[Failure] = []
        for attempt in range(1, _ATTEMPTS_MAX + 1):
            failed = self._call(entries)
            # A sender's fault is refused again, however often it is sent.
            last = attempt == _ATTEMPTS_MAX
            failures += [each for each in failed if each["SenderFault"] or last]
            again = {each["Id"] for each in failed if not each["SenderFault"]}
            if last or not again:
                break
            entries = [entry for entry in entries if entry["Id"] in again]
            self._clock.sleep(random.uniform(0, _BACKOFF_BASE_S * 2**attempt))
        return failures

    def _call(self, entries: list["Entry"]) -> list["Failure"]:
        from shared.adapters.sqs_errors import TRANSPORT_ERRORS, queue_error

        try:
            answer = self._connected().send_message_batch(QueueUrl=self._queue_url, Entries=entries)
        except TRANSPORT_ERRORS as error:
            raise queue_error(error) from error
        return answer.get("Failed", [])

    def _connected(self) -> "SQSClient":
        with self._client_lock:
            if self._client is None:
                self._client = self._connect(self._queue_url)
            return self._client


def delay_seconds(delay_s: float) -> int:
    """What SQS takes: 0 to 900 whole seconds. A worker whose message comes too early asks again."""
    return math.ceil(min(max(delay_s, 0.0), DELAY_S_MAX))


def _batches(messages: Sequence[Message], delay: int) -> list[list["Entry"]]:
    return [
        [
            {"Id": str(number), "MessageBody": encode(message), "DelaySeconds": delay}
            for number, message in enumerate(messages[start : start + BATCH_SIZE])
        ]
        for start in range(0, len(messages), BATCH_SIZE)
    ]


def _refused(failure: "Failure", count: int, total: int) -> QueueError:
    reason = f"{failure['Code']}: {failure.get('Message', 'no message')[:200]}"
    return QueueError(
        f"SQS did not take {count} of {total} messages ({reason})",
        remedy="The next tick sends them again; look at the queue's settings if it persists.",
    )
