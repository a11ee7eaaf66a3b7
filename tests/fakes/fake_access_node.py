"""An access node of one method on a real port: it tells events, or fails as it is told to."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from flow_py_sdk.proto.flow.access import (
    EventsResponse,
    EventsResponseResult,
    GetEventsForHeightRangeRequest,
)
from flow_py_sdk.proto.flow.entities import Event
from grpclib import GRPCError
from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from shared.adapters.loop_thread import shared_loop_thread
from tools.stack.ports import LOOPBACK, free_ports

PATH = "/flow.access.AccessAPI/GetEventsForHeightRange"


def event_payload(event_type: str, fields: dict[str, tuple[str, Any]]) -> bytes:
    """A JSON-Cadence event; `fields` holds (type, value) by name."""
    items = [
        {"name": name, "value": {"type": kind, "value": value}}
        for name, (kind, value) in fields.items()
    ]
    return json.dumps({"type": "Event", "value": {"id": event_type, "fields": items}}).encode()


class FakeAccessNode:
    """`calls` logs (type, start height, end height). Blocks in `held` are all that it answers."""

    def __init__(self, held: Sequence[int]) -> None:
        self.held = held
        self.calls: list[tuple[str, int, int]] = []
        self.error: GRPCError | None = None
        self._payloads: dict[tuple[str, int], list[bytes]] = {}

    def emit(self, event_type: str, height: int, payload: bytes) -> None:
        self._payloads.setdefault((event_type, height), []).append(payload)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Yields `host:port`."""
        loop, port = shared_loop_thread(), free_ports(1)[0]
        server = loop.run(self._start(port))
        try:
            yield f"{LOOPBACK}:{port}"
        finally:
            loop.run(self._stop(server))

    async def _start(self, port: int) -> Server:
        server = Server([self])
        await server.start(LOOPBACK, port)
        return server

    @staticmethod
    async def _stop(server: Server) -> None:
        server.close()
        await server.wait_closed()

    def __mapping__(self) -> dict[str, Handler]:
        return {
            PATH: Handler(
                self._events,
                Cardinality.UNARY_UNARY,
                GetEventsForHeightRangeRequest,
                EventsResponse,
            )
        }

    async def _events(self, stream: Stream[GetEventsForHeightRangeRequest, EventsResponse]) -> None:
        asked = await stream.recv_message()
        assert asked is not None
        self.calls.append((asked.type, asked.start_height, asked.end_height))
        if self.error is not None:
            raise self.error
        heights = range(asked.start_height, asked.end_height + 1)
        blocks = [self._block(asked.type, height) for height in heights if height in self.held]
        await stream.send_message(EventsResponse(results=blocks))

    def _block(self, event_type: str, height: int) -> EventsResponseResult:
        payloads = self._payloads.get((event_type, height), [])
        events = [Event(type=event_type, payload=payload) for payload in payloads]
        return EventsResponseResult(block_height=height, events=events)
