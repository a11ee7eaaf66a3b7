"""Follow the chain block by block and tell its events to the webhook, each at least once."""

import base64
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

import httpx

from shared.core.chain_event import ChainEvent
from shared.core.errors import ReconcileError
from shared.ports.contract import EVENT_BLOCKS_MAX
from tools.indexer.bookmark import Bookmark

EVENTS_MAX = 1_000
"""Events of one message."""

_FAULT_WAIT_S = 2.0


class FollowedChain(Protocol):
    """What the indexer needs of the chain. May raise ContractError."""

    def latest_height(self) -> int: ...

    def events_of(self, from_height: int, to_height: int) -> list[ChainEvent]: ...


class Sender(Protocol):
    """Who takes the messages. May raise Refused."""

    def send(self, value: Any, stop: threading.Event) -> httpx.Response | None: ...


class Indexer:
    """Goes on from its bookmark; what is told but not marked when it dies is told again."""

    def __init__(
        self,
        chain: FollowedChain,
        sender: Sender,
        bookmark: Bookmark,
        *,
        poll_s: float = 1.0,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`tell` gets a line for what was sent, and for what went wrong."""
        self._chain = chain
        self._sender = sender
        self._bookmark = bookmark
        self._poll_s = poll_s
        self._tell = tell
        self._is_ahead = False

    def run(self, stop: threading.Event, from_height: int | None = None) -> None:
        """Follow until `stop` is set. Without a bookmark it begins with the block `from_height`,
        or with the next one. Raises Refused, BookmarkError."""
        height = self._bookmark.read()
        if height is None and from_height is not None:
            height = from_height - 1
        while not stop.is_set():
            try:
                latest = self._chain.latest_height()
                if height is None:
                    height = latest
                    self._bookmark.write(height)
                height = self._catch_up(height, latest, stop)
            except ReconcileError as error:
                self._tell(f"cannot read the chain: {error}")
                stop.wait(_FAULT_WAIT_S)
            stop.wait(self._poll_s)

    def _catch_up(self, height: int, latest: int, stop: threading.Event) -> int:
        """Tell what happened after `height`; returns the height up to which it is told."""
        if latest < height and not self._is_ahead:
            self._tell(
                f"the chain is at block {latest} and the bookmark at {height}: waiting for it. "
                "If this is another chain, remove the bookmark"
            )
        self._is_ahead = latest < height
        while height < latest:
            last = min(height + EVENT_BLOCKS_MAX, latest)
            for events in _parts(self._chain.events_of(height + 1, last)):
                answer = self._sender.send(blocks_of(events), stop)
                if answer is None:
                    return height
                self._tell(_line(events, answer))
            height = last
            self._bookmark.write(height)
        return height


def blocks_of(events: Sequence[ChainEvent]) -> list[dict[str, Any]]:
    """The events by block, in the form of the Access API's `/v1/events`."""
    return [
        {"block_height": str(height), "events": [_event(each) for each in of_block]}
        for height, of_block in groupby(events, key=lambda event: event.block_height)
    ]


def _event(event: ChainEvent) -> dict[str, str]:
    return {
        "type": event.type,
        "transaction_id": event.transaction_id,
        "transaction_index": str(event.transaction_index),
        "event_index": str(event.event_index),
        "payload": base64.b64encode(event.payload).decode(),
    }


def _parts(events: list[ChainEvent]) -> Iterator[list[ChainEvent]]:
    """The events in the order of the chain, EVENTS_MAX at a time."""
    events.sort(key=lambda each: (each.block_height, each.transaction_index, each.event_index))
    for start in range(0, len(events), EVENTS_MAX):
        yield events[start : start + EVENTS_MAX]


def _line(events: Sequence[ChainEvent], answer: httpx.Response) -> str:
    first, last = events[0].block_height, events[-1].block_height
    blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
    told = answer.json()
    outcomes = Counter(result["outcome"] for result in told["results"])
    became = [f"{number} {outcome}" for outcome, number in sorted(outcomes.items())]
    if told["queued"]:
        became.append(f"{told['users']} users queued")
    return f"{blocks}: {len(events)} events, {', '.join(became) or 'nobody named'}"
