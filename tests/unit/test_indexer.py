"""The local indexer: every event is told at least once, and a refusal that passes is waited for."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from shared.core.chain_event import ChainEvent
from shared.core.errors import ContractUnreachable
from shared.http.indexer_events import read_events
from tests.unit.users import user
from tests.unit.webhooks import DEPOSITED, SECRET, payload
from tools.indexer import Bookmark, BookmarkError, Indexer, Refused, WebhookSender
from tools.indexer.follow import EVENTS_MAX

URL = "http://webhook.test/"
ANSWER = {"users": 1, "queued": 0, "results": [{"outcome": "corrected"}]}


def happened(number: int, height: int, event_index: int = 0) -> ChainEvent:
    return ChainEvent(
        type=DEPOSITED,
        payload=payload(number),
        block_height=height,
        transaction_id="ab" * 32,
        transaction_index=0,
        event_index=event_index,
    )


class FakeChain:
    """Ends the indexer once it has been asked `polls` times for the latest block."""

    def __init__(self, events: list[ChainEvent], latest: int, stop: threading.Event) -> None:
        self.events = events
        self.latest = latest
        self.polls = 2
        self.ranges: list[tuple[int, int]] = []
        self.failures: list[ContractUnreachable] = []
        self._stop = stop

    def latest_height(self) -> int:
        self.polls -= 1
        if self.polls <= 0:
            self._stop.set()
        return self.latest

    def events_of(self, from_height: int, to_height: int) -> list[ChainEvent]:
        self.ranges.append((from_height, to_height))
        if self.failures:
            raise self.failures.pop()
        return [each for each in self.events if from_height <= each.block_height <= to_height]


class FakeSender:
    """Takes every message, or what `take` says."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.take: Callable[[Any], httpx.Response | None] = lambda value: httpx.Response(
            200, json=ANSWER
        )

    def send(self, value: Any, stop: threading.Event) -> httpx.Response | None:
        answer = self.take(value)
        if answer is not None:
            self.sent.append(value)
        return answer


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def bookmark(tmp_path: Path) -> Bookmark:
    return Bookmark(tmp_path / "state" / "indexer.json")


def follow(
    chain: FakeChain,
    sender: FakeSender,
    bookmark: Bookmark,
    stop: threading.Event,
    from_height: int | None = None,
) -> list[str]:
    told: list[str] = []
    Indexer(chain, sender, bookmark, poll_s=0, tell=told.append).run(stop, from_height)
    return told


def users_told(sender: FakeSender) -> list[str]:
    """Whom the messages name, as the webhook reads them."""
    types = frozenset([DEPOSITED])
    return [
        each for value in sender.sent for each in read_events(value, types, "userAddress").users
    ]


# -- following --------------------------------------------------------------------------------


def test_events_are_told_in_the_form_of_the_access_api(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    sender = FakeSender()
    chain = FakeChain([happened(2, 8), happened(1, 7, 1), happened(3, 7)], 9, stop)
    told = follow(chain, sender, bookmark, stop, from_height=5)
    (message,) = sender.sent
    assert [(each["block_height"], len(each["events"])) for each in message] == [
        ("7", 2),
        ("8", 1),
    ]
    assert set(message[0]["events"][0]) == {
        "type",
        "transaction_id",
        "transaction_index",
        "event_index",
        "payload",
    }
    assert users_told(sender) == [user(3), user(1), user(2)]
    assert bookmark.read() == 9
    assert told == ["blocks 7 to 8: 3 events, 1 corrected"]


def test_it_goes_on_from_its_bookmark(bookmark: Bookmark, stop: threading.Event) -> None:
    bookmark.write(7)
    sender = FakeSender()
    follow(FakeChain([happened(1, 7), happened(2, 8)], 8, stop), sender, bookmark, stop, 1)
    assert users_told(sender) == [user(2)]


def test_without_one_it_begins_with_the_next_block(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    sender = FakeSender()
    follow(FakeChain([happened(1, 8)], 8, stop), sender, bookmark, stop)
    assert (sender.sent, bookmark.read()) == ([], 8)


def test_a_long_absence_is_read_in_the_ranges_that_a_node_answers(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    chain = FakeChain([happened(1, 1), happened(2, 600)], 600, stop)
    sender = FakeSender()
    follow(chain, sender, bookmark, stop, from_height=1)
    assert chain.ranges == [(1, 250), (251, 500), (501, 600)]
    assert users_told(sender) == [user(1), user(2)]


def test_many_events_are_told_in_several_messages(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    events = [happened(number, 1, number) for number in range(EVENTS_MAX + 1)]
    sender = FakeSender()
    follow(FakeChain(events, 1, stop), sender, bookmark, stop, from_height=1)
    assert len(sender.sent) == 2
    assert users_told(sender) == [user(number) for number in range(EVENTS_MAX + 1)]


def test_what_was_not_taken_is_told_again_by_the_next_one(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    bookmark.write(0)
    sender = FakeSender()
    sender.take = lambda value: None
    follow(FakeChain([happened(1, 1)], 1, stop), sender, bookmark, stop)
    assert bookmark.read() == 0
    sender.take = FakeSender().take
    stop.clear()
    follow(FakeChain([happened(1, 1)], 1, stop), sender, bookmark, stop)
    assert (users_told(sender), bookmark.read()) == ([user(1)], 1)


def test_a_refusal_ends_it_and_its_events_are_not_marked_as_told(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    bookmark.write(0)
    sender = FakeSender()

    def refuse(value: Any) -> None:  # noqa: ARG001
        raise Refused("401 unauthorized")

    sender.take = refuse
    with pytest.raises(Refused):
        follow(FakeChain([happened(1, 1)], 1, stop), sender, bookmark, stop)
    assert bookmark.read() == 0


def test_a_node_that_does_not_answer_is_asked_again(
    bookmark: Bookmark, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.indexer.follow._FAULT_WAIT_S", 0.0)
    bookmark.write(0)
    chain = FakeChain([happened(1, 1)], 1, stop)
    chain.failures = [ContractUnreachable("down", remedy="Wait.")]
    sender = FakeSender()
    told = follow(chain, sender, bookmark, stop)
    assert users_told(sender) == [user(1)]
    assert told[0] == "cannot read the chain: down. Wait."


def test_a_chain_behind_the_bookmark_is_waited_for_and_said_once(
    bookmark: Bookmark, stop: threading.Event
) -> None:
    bookmark.write(9)
    chain = FakeChain([happened(1, 1)], 1, stop)
    chain.polls = 5
    sender = FakeSender()
    (line,) = follow(chain, sender, bookmark, stop)
    assert line.startswith("the chain is at block 1 and the bookmark at 9")
    assert (sender.sent, bookmark.read()) == ([], 9)


@pytest.mark.parametrize("text", ["", "{}", "7", '{"height": "7"}', '{"height": -1}', "{"])
def test_a_bookmark_that_nobody_wrote_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    file = tmp_path / "indexer.json"
    file.write_text(text)
    with pytest.raises(BookmarkError, match="Remove it"):
        Bookmark(file).read()


# -- sending ----------------------------------------------------------------------------------


class Receiver:
    """A webhook that gives these answers, one after the other, and keeps what it got."""

    def __init__(self, *answers: httpx.Response | httpx.TransportError) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, httpx.TransportError):
            raise answer
        return answer

    def sender(self, told: list[str] | None = None) -> WebhookSender:
        client = httpx.Client(transport=httpx.MockTransport(self.handle))
        tell = (lambda line: None) if told is None else told.append
        return WebhookSender(URL, SECRET, tell=tell, client=client)


class Waits(threading.Event):
    """Never set; its waits are over at once, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        return False


def taken() -> httpx.Response:
    return httpx.Response(200, json=ANSWER)


def test_a_message_is_signed_as_the_standard_says() -> None:
    receiver = Receiver(taken())
    assert receiver.sender().send([{"events": []}], Waits()) is not None
    (request,) = receiver.requests
    Webhook(SECRET).verify(request.content, dict(request.headers))
    assert json.loads(request.content) == [{"events": []}]
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_passes_is_sent_again_under_the_same_id(status: int) -> None:
    receiver = Receiver(httpx.Response(status), taken())
    waits = Waits()
    assert receiver.sender().send([], waits) is not None
    first, second = receiver.requests
    assert first.headers["Webhook-Id"] == second.headers["Webhook-Id"]
    assert len(waits.waits) == 1


def test_another_message_has_another_id() -> None:
    receiver = Receiver(taken(), taken())
    sender = receiver.sender()
    sender.send([], Waits())
    sender.send([], Waits())
    assert len({each.headers["Webhook-Id"] for each in receiver.requests}) == 2


@pytest.mark.parametrize(("given", "waited_s"), [("7", 7), ("0", 0), ("900", 60)])
def test_it_waits_as_long_as_it_is_told(given: str, waited_s: float) -> None:
    receiver = Receiver(httpx.Response(503, headers={"Retry-After": given}), taken())
    waits = Waits()
    receiver.sender().send([], waits)
    assert waits.waits == [waited_s]


def test_without_a_word_it_waits_longer_each_time() -> None:
    receiver = Receiver(*[httpx.Response(503)] * 12, taken())
    waits = Waits()
    receiver.sender().send([], waits)
    assert 0.5 <= waits.waits[0] <= 1
    assert 30 <= waits.waits[-1] <= 60


def test_a_webhook_that_cannot_be_reached_is_tried_again() -> None:
    told: list[str] = []
    receiver = Receiver(httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), taken())
    assert receiver.sender(told).send([], Waits()) is not None
    assert [line.partition(":")[0] for line in told] == [
        "not taken (ConnectError)",
        "not taken (ReadTimeout)",
    ]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 413, 415, 422])
def test_what_does_not_pass_is_not_sent_again(status: int) -> None:
    problem = {"code": "unauthorized", "detail": "No."}
    receiver = Receiver(httpx.Response(status, json=problem))
    with pytest.raises(Refused, match=f"{status} unauthorized: No."):
        receiver.sender().send([], Waits())


def test_a_stop_ends_the_trying() -> None:
    stop = threading.Event()
    receiver = Receiver(httpx.Response(503, headers={"Retry-After": "60"}))
    threading.Timer(0.05, stop.set).start()
    assert receiver.sender().send([], stop) is None
