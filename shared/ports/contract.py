"""The contract: the source of truth on chain, and how fast it may be asked."""

from collections.abc import Sequence
from typing import Protocol

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount

EVENT_BLOCKS_MAX = 250
"""Blocks whose events the Access API gives in one call."""


class Contract(Protocol):
    """The source of truth on chain. Every method may raise ContractError."""

    def latest_height(self) -> int:
        """The height of the latest sealed block."""

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        """One script for all of these users at that height; one balance each, in order."""


class ContractEvents(Protocol):
    """What happened on chain. May raise ContractError."""

    def users_changed(self, from_height: int, to_height: int) -> set[FlowAddress]:
        """Whom the contract's events name in these blocks, both included, EVENT_BLOCKS_MAX at most.

        Raises ContractHeightUnavailable when the node has pruned or not yet seen one of them.
        """


class Pace(Protocol):
    """How fast the access node may be asked."""

    def wait(self) -> None:
        """Return when the next call may be made. May raise LedgerError if the budget is shared."""
