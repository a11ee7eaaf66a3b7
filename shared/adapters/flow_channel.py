"""The one gRPC channel to an access node, which all that ask the chain share."""

import ssl
from collections.abc import Callable, Coroutine
from threading import Lock
from typing import Any, TypeVar

from flow_py_sdk import AccessAPI, flow_client

from shared.adapters.flow_errors import TRANSPORT_ERRORS, contract_error
from shared.adapters.loop_thread import LoopThread
from shared.core.errors import ContractError

T = TypeVar("T")

Translate = Callable[[Exception, str], ContractError]


class FlowChannel:
    """A channel made at first use and kept, for callers of any thread."""

    def __init__(self, *, access_node: str, loop: LoopThread, timeout_s: float, tls: bool) -> None:
        """`access_node` is `host:port`."""
        self._access_node = access_node
        self._loop = loop
        self._timeout_s = timeout_s
        self._tls = tls
        self._client: AccessAPI | None = None
        self._client_lock = Lock()

    def access(self) -> AccessAPI:
        """The SDK's client; give what its methods return to `call`."""
        with self._client_lock:
            if self._client is None:
                self._client = self._loop.run(self._connect())
            return self._client

    def call(self, coroutine: Coroutine[Any, Any, T], translate: Translate = contract_error) -> T:
        """Wait for the node's answer. Raises what `translate` makes of a fault."""
        try:
            return self._loop.run(coroutine)
        except TRANSPORT_ERRORS as error:
            raise translate(error, self._access_node) from error

    def close(self) -> None:
        """Close the channel; the next call would open another."""
        with self._client_lock:
            if self._client is not None:
                self._loop.run(self._close(self._client))
                self._client = None

    async def _connect(self) -> AccessAPI:
        # Made on the loop that uses it: a grpclib channel binds to the running loop.
        host, _, port = self._access_node.rpartition(":")
        return flow_client(
            host=host,
            port=int(port),
            timeout=self._timeout_s,
            ssl=ssl.create_default_context() if self._tls else None,
        )

    @staticmethod
    async def _close(client: AccessAPI) -> None:
        client.channel.close()
