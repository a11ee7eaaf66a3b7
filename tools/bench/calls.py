"""Counts what goes over the wire, beneath whatever code is measured."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import httpx
from flow_py_sdk import AccessAPI


@dataclass(slots=True)
class Calls:
    """Seconds of every call until its answer began, by procedure; scripts are one kind."""

    rpcs: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    scripts: list[float] = field(default_factory=list)

    @property
    def rpc_count(self) -> int:
        """Requests to PostgREST."""
        return sum(map(len, self.rpcs.values()))


@contextmanager
def counted() -> Iterator[Calls]:
    """Count the calls of all threads of this process meanwhile.

    At the two libraries' transports, so that no product code knows of it.
    """
    calls = Calls()
    send = httpx.HTTPTransport.handle_request
    execute = AccessAPI.execute_script_at_block_height

    def counting_send(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        began = time.perf_counter()
        try:
            return send(transport, request)
        finally:
            name = request.url.path.rpartition("/")[2]
            calls.rpcs[name].append(time.perf_counter() - began)

    async def counting_execute(client: AccessAPI, **arguments: Any) -> bytes:
        began = time.perf_counter()
        try:
            return bytes(await execute(client, **arguments))
        finally:
            calls.scripts.append(time.perf_counter() - began)

    with (
        patch.object(httpx.HTTPTransport, "handle_request", counting_send),
        patch.object(AccessAPI, "execute_script_at_block_height", counting_execute),
    ):
        yield calls
