"""The contract's events behind the port `ContractEvents`, through flow-py-sdk."""

from collections.abc import Iterable, Sequence

from flow_py_sdk.proto.flow.access import AccessAPIStub, EventsResponseResult

from shared.adapters.flow_channel import FlowChannel
from shared.adapters.flow_errors import events_error
from shared.core.address import FlowAddress
from shared.core.chain_event import ChainEvent, user_of
from shared.core.errors import ContractBadAnswer, ContractHeightUnavailable
from shared.ports.contract import Pace


class FlowEvents:
    """Asks one access node whom events name. Implements the port `ContractEvents`."""

    def __init__(
        self, channel: FlowChannel, pace: Pace, *, types: Sequence[str], user_field: str
    ) -> None:
        """`user_field` is the field that holds the user's address in each of the event types."""
        self._channel = channel
        self._pace = pace
        self._types = types
        self._user_field = user_field

    def users_changed(self, from_height: int, to_height: int) -> set[FlowAddress]:
        """One call for each event type."""
        return {
            decode_user(event.payload, event_type=event.type, user_field=self._user_field)
            for event in self.events_of(from_height, to_height)
        }

    def events_of(self, from_height: int, to_height: int) -> list[ChainEvent]:
        """All events of the types in these blocks, both included, type by type; one call each."""
        heights = range(from_height, to_height + 1)
        return [
            ChainEvent(
                type=event_type,
                payload=event.payload,
                block_height=int(block.block_height),
                transaction_id=event.transaction_id.hex(),
                transaction_index=int(event.transaction_index),
                event_index=int(event.event_index),
            )
            for event_type in self._types
            for block in self._blocks(event_type, heights)
            for event in block.events
        ]

    def _blocks(self, event_type: str, heights: range) -> list[EventsResponseResult]:
        if not heights:
            return []
        self._pace.wait()
        # Not the client's own method, which decodes whole events and fails on values it does not
        # know.
        call = AccessAPIStub.get_events_for_height_range(
            self._channel.access(),
            type=event_type,
            start_height=heights[0],
            end_height=heights[-1],
        )
        blocks: list[EventsResponseResult] = self._channel.call(call, events_error).results
        require_all(heights, (int(block.block_height) for block in blocks))
        return blocks


def require_all(heights: range, answered: Iterable[int]) -> None:
    """Raise ContractHeightUnavailable for a block that is not in the answer.

    A node leaves out, without a word, blocks that it has not sealed and blocks whose events it does
    not hold. A block without events is in the answer.
    """
    missing = set(heights).difference(answered)
    if missing:
        raise ContractHeightUnavailable(
            f"the Flow access node did not tell the events of block {min(missing)}",
            remedy="It is behind or has pruned it: try again, or use another FLOW_ACCESS_NODE.",
        )


def decode_user(payload: bytes, *, event_type: str, user_field: str) -> FlowAddress:
    """The address in a field of a JSON-Cadence event.

    Raises ContractBadAnswer for another event, without that field or with anything else in it.
    """
    try:
        return user_of(payload, event_type=event_type, field=user_field)
    except ValueError as error:
        raise ContractBadAnswer(
            f"event {event_type} has no address in its field {user_field}: {payload[:200]!r}",
            remedy="Set FLOW_EVENT_USER_FIELD to the field of type Address that holds the user, "
            "and FLOW_EVENTS to events that have it.",
        ) from error
