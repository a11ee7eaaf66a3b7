"""The contract on Flow behind the port `Contract`, through flow-py-sdk."""

import json
import re
import ssl
from collections.abc import Coroutine, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from flow_py_sdk import AccessAPI, flow_client

from shared.adapters.flow_errors import TRANSPORT_ERRORS, contract_error
from shared.adapters.loop_thread import LoopThread
from shared.adapters.rate_limit import RateLimit
from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.core.errors import ContractBadAnswer

T = TypeVar("T")

DEFAULT_SCRIPT = Path(__file__).parents[2] / "cadence" / "scripts" / "get_user_balances.cdc"


def render_script(source: str, *, name: str, address: FlowAddress) -> str:
    """Fill in where the contract is.

    `import "OverflowGame"` becomes `import <name> from <address>`, and `OverflowGame` becomes
    `name` wherever it stands as a word. A script that imports by address is left as it is.
    """
    imported = source.replace('import "OverflowGame"', f"import OverflowGame from {address}")
    return re.sub(r"\bOverflowGame\b", name, imported)


class FlowContract:
    """Asks one access node; one gRPC channel, made at first use and kept."""

    def __init__(
        self,
        *,
        access_node: str,
        script: str,
        loop: LoopThread,
        rate_limit: RateLimit,
        timeout_s: float,
        tls: bool,
    ) -> None:
        """`access_node` is `host:port`; `script` is rendered Cadence: [Address] → [UFix64]."""
        self._access_node = access_node
        self._script = script.encode()
        self._loop = loop
        self._rate_limit = rate_limit
        self._timeout_s = timeout_s
        self._tls = tls
        self._client: AccessAPI | None = None
        self._client_lock = Lock()

    def latest_height(self) -> int:
        header = self._call(self._access().get_latest_block_header(is_sealed=True))
        return int(header.height)

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        self._rate_limit.wait()
        answer = self._call(
            self._access().execute_script_at_block_height(
                block_height=block_height,
                script=self._script,
                arguments=[encode_addresses(addresses)],
            )
        )
        return decode_balances(answer)

    def close(self) -> None:
        """Close the channel; the next call would open another."""
        if self._client is not None:
            self._loop.run(self._close(self._client))
            self._client = None

    def _access(self) -> AccessAPI:
        with self._client_lock:
            if self._client is None:
                self._client = self._loop.run(self._connect())
            return self._client

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

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run(coroutine)
        except TRANSPORT_ERRORS as error:
            raise contract_error(error, self._access_node) from error


def encode_addresses(addresses: Sequence[FlowAddress]) -> bytes:
    """A JSON-Cadence [Address]. Written directly: the SDK's objects cost more than the script."""
    items = ",".join(f'{{"type":"Address","value":"{address}"}}' for address in addresses)
    return f'{{"type":"Array","value":[{items}]}}'.encode()


def decode_balances(answer: bytes) -> list[FlowAmount]:
    """Read a JSON-Cadence [UFix64] exactly: its decimal strings always have 8 places.

    Raises ContractBadAnswer when it is anything else.
    """
    try:
        value = json.loads(answer)
        if value["type"] != "Array":
            raise ValueError(value["type"])
        return [_units(item) for item in value["value"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ContractBadAnswer(
            f"the balance script did not answer with [UFix64] but {answer[:80]!r}",
            remedy="Check FLOW_BALANCE_SCRIPT: main must return one UFix64 for each address.",
        ) from error


def _units(item: dict[str, str]) -> FlowAmount:
    text = item["value"]
    if item["type"] != "UFix64" or text[-9:-8] != ".":
        raise ValueError(item)
    return FlowAmount(int(text[:-9] + text[-8:]))
