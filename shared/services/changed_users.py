"""Whom the contract's events name: the users that an incremental run looks at."""

from functools import partial

from shared.core.address import FlowAddress
from shared.core.errors import EventGapTooLarge
from shared.ports.clock import Clock
from shared.ports.contract import EVENT_BLOCKS_MAX, ContractEvents
from shared.services.retry import Backoff, with_retry

BLOCKS_MAX = 10_000
"""About two hours of Flow's blocks: 40 calls for each event type."""


class ChangedUsers:
    """Reads events range by range, with retries. A range that cannot be read is never left out."""

    def __init__(
        self,
        events: ContractEvents,
        clock: Clock,
        backoff: Backoff | None = None,
        *,
        blocks_max: int = BLOCKS_MAX,
    ) -> None:
        self._events = events
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._blocks_max = blocks_max

    def since(self, from_height: int, to_height: int) -> set[FlowAddress]:
        """Everyone whom an event names in these blocks, both included; nobody when from > to.

        Raises EventGapTooLarge before the first call, and the last error of a range that fails:
        then only a full sweep finds everyone.
        """
        blocks = to_height - from_height + 1
        if blocks > self._blocks_max:
            raise EventGapTooLarge(
                f"{blocks:,} blocks since the last run are more than {self._blocks_max:,}",
                remedy="A full sweep catches up; raise RECONCILE_EVENT_BLOCKS_MAX to read more.",
            )
        users: set[FlowAddress] = set()
        for first in range(from_height, to_height + 1, EVENT_BLOCKS_MAX):
            last = min(first + EVENT_BLOCKS_MAX - 1, to_height)
            ask = partial(self._events.users_changed, first, last)
            users |= with_retry(ask, self._clock, self._backoff)
        return users
