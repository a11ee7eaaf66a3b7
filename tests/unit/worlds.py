"""A ledger, a contract and a run store in memory, and the services over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.core.amount import FlowAmount
from shared.core.hold import Hold
from shared.core.outcome import ReconciliationResult
from shared.core.policy import Policy
from shared.core.run_alert import AlertLimits
from shared.core.sweep_result import SweepResult
from shared.ports.alerts import AlertChannel
from shared.ports.chunk_queue import ChunkQueue
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger
from shared.ports.run_store import RunStore
from shared.services.alerter import Alerter
from shared.services.announce_run import RunAnnouncer
from shared.services.changed_users import ChangedUsers
from shared.services.engine import Engine
from shared.services.read_contract import ContractReader
from shared.services.retry import Backoff
from shared.services.retrying_ledger import RetryingLedger
from shared.services.retrying_run_store import retrying_run_store
from shared.services.sweep import SweepHooks
from tests.fakes.fake_alerts import FakeAlerts
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FakeContract
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.fake_run_store import FakeRunStore
from tests.unit.alerts import PlainTexts
from tests.unit.not_asked_for import NotAskedFor

CAREFREE = Policy(settle_s=0, halt_share=1, halt_unread_share=1)
"""Nothing halts and nothing waits."""
LEASE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class PortSet:
    """The ports, made already."""

    ledger: Ledger
    store: RunStore
    contract: ContractReader
    changed_users: ChangedUsers
    clock: Clock
    queue: ChunkQueue | None = None


class World(Engine, NotAskedFor):
    """`ledger` and `contract` give balances by user in units of 1e-8; retries wait on `clock`."""

    clock: FakeClock

    def __init__(
        self,
        ledger: Mapping[str, int | str | None] | None = None,
        contract: Mapping[str, int] | None = None,
        policy: Policy = CAREFREE,
        *,
        queue: ChunkQueue | None = None,
        clock: FakeClock | None = None,
        rotate_chunks: int = 1,
        channels: Sequence[AlertChannel] = (),
    ) -> None:
        clock = clock or FakeClock()
        backoff = Backoff(attempts_max=2)
        self.queue = queue
        self.ledger = FakeLedger(ledger)
        self.contract = FakeContract(contract)
        self.store = FakeRunStore(self.ledger, clock)
        self.alerts = FakeAlerts(self.store, clock)
        self.alerter = Alerter(self.alerts, channels, PlainTexts(), clock)
        self.announcer = RunAnnouncer(self.alerts, self.alerter, AlertLimits())
        self.reader = ContractReader(self.contract, clock, backoff)
        self.retrying = RetryingLedger(self.ledger, clock, backoff)
        ports = PortSet(
            ledger=self.retrying,
            store=retrying_run_store(self.store, clock, backoff),
            contract=self.reader,
            changed_users=ChangedUsers(self.contract, clock, backoff),
            clock=clock,
            queue=queue,
        )
        super().__init__(ports, policy, lease_s=LEASE_S, rotate_chunks=rotate_chunks)

    def hold(self, key: str) -> None:
        """As an admin would; who has no row is held as if it had vanished since."""
        if self.ledger.hold_of(key) is None:
            self.ledger.holds.append(
                Hold(user_address=key, held_at=self.clock.now(), held_by="alice", reason="x")
            )

    def reconcile(self, key: str, admin: str = "ADMIN") -> ReconciliationResult:
        return self.user_reconciler.reconcile(key, admin)

    def sweep(
        self,
        *,
        dry_run: bool = False,
        incremental: bool = False,
        hooks: SweepHooks | None = None,
    ) -> SweepResult:
        return self.sweeper.sweep("ADMIN", dry_run=dry_run, incremental=incremental, hooks=hooks)

    def balance(self, key: str) -> FlowAmount | str | None:
        return self.ledger.balance(key)
