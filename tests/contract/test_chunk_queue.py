"""One suite over the fake queue and SQS behind its adapter: they cannot drift apart."""

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol
from uuid import UUID, uuid4

import pytest

from shared.adapters.sqs_chunk_queue import DELAY_S_MAX, SqsChunkQueue
from shared.adapters.system_clock import SystemClock
from shared.core.chunk_message import decode
from shared.core.errors import QueueError
from shared.core.run import ATTEMPTS_MAX, ChunkRef, Phase
from shared.ports.chunk_queue import ChunkQueue
from tests.aws import SqsQueue
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_queue import FakeQueue


def refs(count: int, run_id: UUID | None = None) -> list[ChunkRef]:
    run_id = run_id or uuid4()
    return [ChunkRef(run_id, Phase.SCAN, number) for number in range(count)]


class Harness(Protocol):
    """A queue, and what is needed to look behind it."""

    @property
    def queue(self) -> ChunkQueue: ...
    def received(self) -> Sequence[ChunkRef]:
        """Every message that can be received now, taken off the queue."""

    def waiting(self) -> int:
        """How many messages wait for their delay to pass."""

    def pass_time(self, duration_s: float) -> None: ...
    def try_and_fail(self) -> Sequence[ChunkRef]:
        """Every message that can be received now, handed back as a worker does that has failed."""

    def dead(self) -> Sequence[ChunkRef]:
        """What is in the dead-letter queue."""

    def fail(self) -> None:
        """From now on the queue takes nothing."""


class FakeHarness:
    def __init__(self) -> None:
        self._clock = FakeClock()
        self._fake = FakeQueue(self._clock)
        self.queue: ChunkQueue = self._fake

    def received(self) -> Sequence[ChunkRef]:
        taken = self._fake.take()
        self._fake.delete(list(taken))
        return list(taken.values())

    def waiting(self) -> int:
        return self._fake.waiting()

    def pass_time(self, duration_s: float) -> None:
        self._clock.advance(duration_s)

    def try_and_fail(self) -> Sequence[ChunkRef]:
        taken = self._fake.take()
        self._fake.hand_back(list(taken))
        return list(taken.values())

    def dead(self) -> Sequence[ChunkRef]:
        return self._fake.dead

    def fail(self) -> None:
        self._fake.fail_next(QueueError("the queue is full", remedy="Try again."))


class SqsHarness:
    def __init__(self, sqs: SqsQueue) -> None:
        self.adapter = SqsChunkQueue(sqs.url, SystemClock())
        self.queue: ChunkQueue = self.adapter
        self._sqs = sqs

    def received(self) -> Sequence[ChunkRef]:
        return [decode(body) for body in self._sqs.drain()]

    def waiting(self) -> int:
        return self._sqs.delayed()

    def pass_time(self, duration_s: float) -> None:
        time.sleep(duration_s)

    def try_and_fail(self) -> Sequence[ChunkRef]:
        messages = self._sqs.take()
        for message in messages:
            self._sqs.hand_back(message)
        return [decode(message["Body"]) for message in messages]

    def dead(self) -> Sequence[ChunkRef]:
        return [decode(body) for body in self._sqs.drain(self._sqs.dead_letter_url)]

    def fail(self) -> None:
        self._sqs.client.delete_queue(QueueUrl=self._sqs.url)


@pytest.fixture
def on_sqs(sqs: SqsQueue) -> Iterator[SqsHarness]:
    harness = SqsHarness(sqs)
    yield harness
    harness.adapter.close()


@pytest.fixture(params=["fake", "sqs"])
def harness(request: pytest.FixtureRequest) -> Harness:
    """The suite's queue, empty."""
    if request.param == "fake":
        return FakeHarness()
    made: Harness = request.getfixturevalue("on_sqs")
    return made


def test_every_chunk_arrives_once(harness: Harness) -> None:
    run_id = uuid4()
    sent = [ChunkRef(run_id, phase, number) for phase in Phase for number in (0, 1, 2**31 - 1)]
    harness.queue.send(sent)
    assert Counter(harness.received()) == Counter(sent)


def test_a_chunk_sent_twice_arrives_twice(harness: Harness) -> None:
    sent = refs(2)
    harness.queue.send(sent)
    harness.queue.send(sent[:1])
    assert Counter(harness.received()) == Counter([*sent, sent[0]])


def test_nothing_sent_is_nothing_received(harness: Harness) -> None:
    harness.queue.send([])
    assert harness.received() == []


# Not more: moto looks at every message of the queue for each that is sent or received.
@pytest.mark.parametrize("count", [1, 9, 10, 11, 100])
def test_many_chunks_arrive(harness: Harness, count: int) -> None:
    sent = refs(count)
    harness.queue.send(sent)
    assert Counter(harness.received()) == Counter(sent)


def test_a_delayed_chunk_arrives_when_its_delay_has_passed_and_not_before(
    harness: Harness,
) -> None:
    sent = refs(12)
    harness.queue.send(sent, delay_s=0.6)
    assert (harness.received(), harness.waiting()) == ([], 12)
    harness.pass_time(1.1)
    assert Counter(harness.received()) == Counter(sent)


def test_a_longer_delay_than_can_be_had_is_cut(harness: Harness) -> None:
    harness.queue.send(refs(1), delay_s=DELAY_S_MAX + 1)
    assert (harness.received(), harness.waiting()) == ([], 1)


def test_a_queue_that_takes_nothing_is_an_error_that_a_retry_may_mend(harness: Harness) -> None:
    harness.fail()
    with pytest.raises(QueueError) as caught:
        harness.queue.send(refs(25))
    assert (caught.value.code, caught.value.retryable) == ("queue_error", True)


def test_a_message_that_nobody_can_handle_ends_in_the_dead_letter_queue(harness: Harness) -> None:
    sent = refs(1)
    harness.queue.send(sent)
    assert [harness.try_and_fail() for _ in range(ATTEMPTS_MAX)] == [sent] * ATTEMPTS_MAX
    assert (harness.received(), harness.dead()) == ([], sent)


@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_nobody_serves_is_a_queue_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else's
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        queue = SqsChunkQueue(f"{endpoint}/123456789012/chunks", SystemClock())
        with pytest.raises(QueueError, match="cannot be reached"):
            queue.send(refs(25))
        queue.close()
