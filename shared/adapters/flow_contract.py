"""The contract's balances behind the port `Contract`, through flow-py-sdk."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from shared.adapters.flow_channel import FlowChannel
from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.core.errors import ContractBadAnswer
from shared.ports.contract import Pace

DEFAULT_SCRIPT = Path(__file__).parents[2] / "cadence" / "scripts" / "get_user_balances.cdc"


def render_script(source: str, *, name: str, address: FlowAddress) -> str:
    """Fill in where the contract is.

    `import "OverflowGame"` becomes `import <name> from <address>`, and `OverflowGame` becomes
    `name` wherever it stands as a word. A script that imports by address is left as it is.
    """
    imported = source.replace('import "OverflowGame"', f"import OverflowGame from {address}")
    return re.sub(r"\bOverflowGame\b", name, imported)


class FlowContract:
    """Asks one access node for balances. Implements the port `Contract`."""

    def __init__(self, channel: FlowChannel, pace: Pace, *, script: str) -> None:
        """`script` is rendered Cadence: [Address] → [UFix64]."""
        self._channel = channel
        self._pace = pace
        self._script = script.encode()

    def latest_height(self) -> int:
        access = self._channel.access()
        header = self._channel.call(access.get_latest_block_header(is_sealed=True))
        return int(header.height)

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        self._pace.wait()
        answer = self._channel.call(
            self._channel.access().execute_script_at_block_height(
                block_height=block_height,
                script=self._script,
                arguments=[encode_addresses(addresses)],
            )
        )
        return decode_balances(answer)


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
        return [decode_ufix64(item) for item in value["value"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ContractBadAnswer(
            f"the balance script did not answer with [UFix64] but {answer[:80]!r}",
            remedy="Check FLOW_BALANCE_SCRIPT: main must return one UFix64 for each address.",
        ) from error


def decode_ufix64(item: dict[str, str]) -> FlowAmount:
    """A JSON-Cadence UFix64 in units of 1e-8. Raises ValueError, TypeError or KeyError."""
    text = item["value"]
    if item["type"] != "UFix64" or text[-9:-8] != ".":
        raise ValueError(item)
    return FlowAmount(int(text[:-9] + text[-8:]))
