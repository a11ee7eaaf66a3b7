"""What moto cannot be made to do: answers that SQS gives when it is busy, and broken settings.

The suite over a queue that works is tests/contract/test_chunk_queue.py.
"""

import subprocess
import sys
import threading
import time
from typing import Any, cast
from uuid import UUID

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, NoRegionError, ReadTimeoutError

from shared.adapters.sqs_chunk_queue import SqsChunkQueue, connect, delay_seconds
from shared.core.chunk_message import decode
from shared.core.errors import QueueError
from shared.core.run import ChunkRef, Phase
from tests.fakes.fake_clock import FakeClock

URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/chunks"
RUN_ID = UUID(int=1)


def refs(count: int) -> list[ChunkRef]:
    return [ChunkRef(RUN_ID, Phase.SCAN, number) for number in range(count)]


class FakeClient:
    """Takes messages as SQS does, but for those it was told to refuse, and how often."""

    def __init__(self) -> None:
        self.refusals: dict[int, int] = {}
        self.sender_fault = False
        self.error: Exception | None = None
        self.errors = 0
        self.together: threading.Barrier | None = None
        self.calls: list[list[int]] = []
        self.taken: list[int] = []
        self._lock = threading.Lock()

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        assert QueueUrl == URL
        assert 1 <= len(Entries) <= 10
        if self.error:
            self.errors += 1
            time.sleep(0.01)  # longer than it takes to queue a batch for a thread
            raise self.error
        if self.together:
            self.together.wait()
        with self._lock:
            self.calls.append([decode(each["MessageBody"]).chunk_no for each in Entries])
            failed = [each["Id"] for each in Entries if self._refuses(each["MessageBody"])]
        return {"Failed": [self._failure(each) for each in failed]} if failed else {}

    def close(self) -> None:
        self.calls.append([])

    def _refuses(self, body: str) -> bool:
        chunk_no = decode(body).chunk_no
        left = self.refusals.get(chunk_no, 0)
        self.refusals[chunk_no] = left - 1
        if left <= 0:
            self.taken.append(chunk_no)
        return left > 0

    def _failure(self, entry_id: str) -> dict[str, Any]:
        return {
            "Id": entry_id,
            "SenderFault": self.sender_fault,
            "Code": "InternalError",
            "Message": "busy",
        }


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(client: FakeClient, clock: FakeClock) -> SqsChunkQueue:
    return SqsChunkQueue(URL, clock, connect=lambda url: cast(Any, client))


def test_a_thousand_messages_go_out_in_tens_and_several_calls_at_a_time(
    queue: SqsChunkQueue, client: FakeClient
) -> None:
    client.together = threading.Barrier(4, timeout=10)  # a call answers when four are under way
    queue.send(refs(1_000))
    assert sorted(client.taken) == list(range(1_000))
    assert [len(call) for call in client.calls] == [10] * 100


def test_of_a_batch_only_what_was_refused_is_sent_again(
    queue: SqsChunkQueue, client: FakeClient, clock: FakeClock
) -> None:
    client.refusals = {3: 2, 5: 1}
    queue.send(refs(10))
    assert client.calls == [list(range(10)), [3, 5], [3]]
    assert sorted(client.taken) == list(range(10))
    assert len(clock.sleeps) == 2


def test_what_stays_refused_is_told_and_the_others_are_sent(
    queue: SqsChunkQueue, client: FakeClient
) -> None:
    client.refusals = {3: 99, 14: 99}
    with pytest.raises(QueueError, match=r"2 of 40 messages \(InternalError: busy\)") as caught:
        queue.send(refs(40))
    assert caught.value.retryable
    assert sorted(client.taken) == sorted(set(range(40)) - {3, 14})


def test_a_fault_of_the_sender_is_not_tried_again(
    queue: SqsChunkQueue, client: FakeClient, clock: FakeClock
) -> None:
    client.refusals, client.sender_fault = {0: 99}, True
    with pytest.raises(QueueError, match="1 of 2 messages"):
        queue.send(refs(2))
    assert (client.calls, clock.sleeps) == ([[0, 1]], [])


def answered(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "text of AWS"}}, "SendMessageBatch")


FAULTS = [
    (answered("AWS.SimpleQueueService.NonExistentQueue"), "does not exist", "RECONCILE_QUEUE_URL"),
    (answered("AccessDenied"), "refused the credentials", "sqs:SendMessage"),
    (answered("RequestThrottled"), "RequestThrottled: text of AWS", "next tick"),
    (NoCredentialsError(), "no AWS credentials", "sqs:SendMessage"),
    (NoRegionError(), "region", "AWS_DEFAULT_REGION"),
    (ReadTimeoutError(endpoint_url=URL), "ReadTimeoutError", "AWS_ENDPOINT_URL"),
    (ValueError("Invalid endpoint: x"), "cannot be reached", "AWS_ENDPOINT_URL"),
]


@pytest.mark.parametrize(("error", "fault", "remedy"), FAULTS)
def test_a_fault_of_the_call_is_a_queue_error_with_its_remedy(
    queue: SqsChunkQueue, client: FakeClient, error: Exception, fault: str, remedy: str
) -> None:
    client.error = error
    with pytest.raises(QueueError) as caught:
        queue.send(refs(25))
    assert fault in caught.value.fault
    assert remedy in caught.value.remedy
    assert caught.value.__cause__ is error


def test_a_fault_of_a_call_ends_the_sending(queue: SqsChunkQueue, client: FakeClient) -> None:
    """Of ten thousand messages not each batch may wait until the same endpoint has timed out."""
    client.error = ReadTimeoutError(endpoint_url=URL)
    with pytest.raises(QueueError):
        queue.send(refs(10_000))
    assert client.errors < 500


def test_the_client_is_made_at_the_first_send_and_kept() -> None:
    made: list[str] = []
    client = FakeClient()

    def connect(url: str) -> Any:
        made.append(url)
        return client

    queue = SqsChunkQueue(URL, FakeClock(), connect)
    queue.send([])
    queue.close()
    assert (made, client.calls) == ([], [])
    queue.send(refs(35))
    queue.send(refs(1))
    assert made == [URL]
    queue.close()
    queue.send(refs(1))
    assert made == [URL, URL]


@pytest.mark.parametrize(
    ("delay_s", "seconds"),
    [(0.0, 0), (-3.0, 0), (0.001, 1), (1.0, 1), (29.2, 30), (900.0, 900), (899.5, 900), (1e9, 900)],
)
def test_a_delay_is_in_whole_seconds_rounded_up_to_what_sqs_allows(
    delay_s: float, seconds: int
) -> None:
    assert delay_seconds(delay_s) == seconds


@pytest.mark.parametrize(
    ("url", "region"),
    [
        (URL, "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/chunks", "cn-north-1"),
        ("http://127.0.0.1:5000/123456789012/chunks", "us-east-2"),
        ("https://sqs.eu-west-1.amazonaws.com.example/123456789012/chunks", "us-east-2"),
    ],
)
def test_the_region_is_the_queue_s_own(
    monkeypatch: pytest.MonkeyPatch, url: str, region: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
    client = connect(url)
    assert client.meta.region_name == region
    client.close()


def test_aws_is_not_loaded_before_it_is_needed() -> None:
    program = (
        "import sys, shared.adapters.sqs_chunk_queue as q; q.SqsChunkQueue('', None);"
        "sys.exit(bool({'boto3', 'botocore'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
