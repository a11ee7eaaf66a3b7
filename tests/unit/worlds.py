"""A ledger and a contract in memory, and the services over them."""

from collections.abc import Mapping

from shared.core.amount import FlowAmount
from shared.core.outcome import ReconciliationResult
from shared.core.policy import Policy
from shared.core.sweep_result import SweepResult
from shared.services.read_contract import ContractReader
from shared.services.reconcile_user import UserReconciler
from shared.services.retry import Backoff
from shared.services.retrying_ledger import RetryingLedger
from shared.services.sweep import Sweeper, SweepHooks
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FakeContract
from tests.fakes.fake_ledger import FakeLedger

CAREFREE = Policy(settle_s=0, halt_share=1, halt_unread_share=1)
"""Nothing halts and nothing waits."""


class World:
    """`ledger` and `contract` give balances by user in units of 1e-8; retries wait on `clock`."""

    def __init__(
        self,
        ledger: Mapping[str, int | str | None] | None = None,
        contract: Mapping[str, int] | None = None,
        policy: Policy = CAREFREE,
    ) -> None:
        self.ledger = FakeLedger(ledger)
        self.contract = FakeContract(contract)
        self.clock = FakeClock()
        self.reader = ContractReader(self.contract, self.clock, Backoff(attempts_max=2))
        self.retrying = RetryingLedger(self.ledger, self.clock, Backoff(attempts_max=2))
        self.user_reconciler = UserReconciler(self.retrying, self.reader, self.clock, policy)
        self.sweeper = Sweeper(self.retrying, self.reader, self.clock, policy)

    def reconcile(self, key: str, admin: str = "ADMIN") -> ReconciliationResult:
        return self.user_reconciler.reconcile(key, admin)

    def sweep(self, *, dry_run: bool = False, hooks: SweepHooks | None = None) -> SweepResult:
        return self.sweeper.sweep("ADMIN", dry_run=dry_run, hooks=hooks)

    def balance(self, key: str) -> FlowAmount | str | None:
        return self.ledger.balance(key)
