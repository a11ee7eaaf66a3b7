"""The escrow of the stack's OverflowGame: what it holds, and its owner's hand in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.conftest import CADENCE_FIXTURES
from tools.chain import Chain
from tools.chain.json_cadence import boolean, ufix64
from tools.chain.seed import seed_balances
from tools.chain.sources import read_cadence


@dataclass(frozen=True)
class Escrow:
    """Amounts are integers of 1e-8 FLOW. Tests of the session share the contract."""

    chain: Chain

    def balances(self) -> tuple[int, int]:
        """The vault's balance and the contract's own total."""
        script = read_cadence("scripts/get_vault_balance.cdc", self._addresses)
        answer = self.chain.run_script(script)
        return int(answer["vaultBalance"]), int(answer["totalUserBalance"])

    def deposit(self, user: str, units: int) -> None:
        """As a user does it: vault and contract total grow."""
        seed_balances(self.chain, {user: units})

    @contextmanager
    def holding_more(self, units: int) -> Iterator[None]:
        """The owner puts FLOW into the vault that no user owns."""
        self._move(units, is_out=False)
        try:
            yield
        finally:
            self._move(units, is_out=True)

    @contextmanager
    def holding_less(self, units: int) -> Iterator[None]:
        """The owner takes FLOW out of the vault that users own."""
        self._move(units, is_out=True)
        try:
            yield
        finally:
            self._move(units, is_out=False)

    def _move(self, units: int, *, is_out: bool) -> None:
        code = read_cadence(CADENCE_FIXTURES / "move_escrow.cdc", self._addresses)
        self.chain.send(code, [ufix64(units), boolean(is_out)])

    @property
    def _addresses(self) -> dict[str, str]:
        return {"OverflowGame": self.chain.address}
