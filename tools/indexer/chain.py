"""The chain that is followed: the Access API of the settings."""

from types import TracebackType
from typing import Self

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_events import FlowEvents
from shared.adapters.loop_thread import shared_loop_thread
from shared.adapters.unpaced import Unpaced
from shared.core.address import parse_address
from shared.core.chain_event import ChainEvent, event_types
from shared.settings import Settings


class EventChain:
    """Reads sealed blocks; its calls may raise ContractError. Close it, or use it in a `with`."""

    def __init__(self, config: Settings) -> None:
        self._channel = FlowChannel(
            access_node=config.flow_access_node,
            loop=shared_loop_thread(),
            timeout_s=config.flow_timeout_s,
            tls=config.flow_access_tls,
        )
        types = event_types(
            config.flow_events,
            contract=config.flow_contract_name,
            address=parse_address(config.flow_contract_address),
        )
        self._events = FlowEvents(
            self._channel, Unpaced(), types=types, user_field=config.flow_event_user_field
        )

    def latest_height(self) -> int:
        """The height of the latest sealed block."""
        header = self._channel.access().get_latest_block_header(is_sealed=True)
        return int(self._channel.call(header).height)

    def events_of(self, from_height: int, to_height: int) -> list[ChainEvent]:
        """The contract's events in these blocks, both included, EVENT_BLOCKS_MAX at most."""
        return self._events.events_of(from_height, to_height)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
