"""A contract whose scripts are counted for the invocation at hand."""

from collections.abc import Sequence

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.observe.context import current
from shared.observe.metrics import Metric
from shared.ports.contract import Contract


class CountingContract:
    """A contract whose scripts are counted."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract

    def latest_height(self) -> int:
        return self._contract.latest_height()

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        if (invocation := current()) is not None:
            invocation.count(Metric.SCRIPT_CALLS)
        return self._contract.balances_at(addresses, block_height)
