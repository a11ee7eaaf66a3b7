"""A vault whose scripts are counted for the invocation at hand."""

from shared.core.solvency import VaultBalances
from shared.observe.context import current
from shared.observe.metrics import Metric
from shared.ports.solvency import Vault


class CountingVault:
    """A vault whose scripts are counted."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def balances_at(self, block_height: int) -> VaultBalances:
        if (invocation := current()) is not None:
            invocation.count(Metric.SCRIPT_CALLS)
        return self._vault.balances_at(block_height)
