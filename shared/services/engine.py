"""The use cases, put together on ports alone: `bootstrap` gives them the real ones, tests fakes."""

from dataclasses import dataclass

from shared.core.errors import InvalidSettings
from shared.core.policy import Policy
from shared.ports.chunk_queue import ChunkQueue
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger
from shared.ports.run_store import RunStore
from shared.services.changed_users import ChangedUsers
from shared.services.chunk_worker import ChunkWorker
from shared.services.correct import Corrector
from shared.services.dispatch import Dispatcher
from shared.services.inline_run import InlineRunner
from shared.services.plan_run import RunPlanner
from shared.services.queue_worker import QueueWorker
from shared.services.read_contract import ContractReader
from shared.services.reconcile_named import NamedReconciler
from shared.services.reconcile_user import UserReconciler
from shared.services.run_history import RunHistory
from shared.services.scan import Scanner
from shared.services.sweep import Sweeper
from shared.services.tick import Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the use cases run on; `queue` None: chunks are worked in line."""

    ledger: Ledger
    store: RunStore
    contract: ContractReader
    changed_users: ChangedUsers
    clock: Clock
    queue: ChunkQueue | None = None


class Engine:
    """One of each use case, for one ledger and one contract."""

    def __init__(
        self, ports: Ports, policy: Policy, *, lease_s: float = 120.0, rotate_chunks: int = 1
    ) -> None:
        self.clock = ports.clock
        self.user_reconciler = UserReconciler(ports.ledger, ports.contract, ports.clock, policy)
        self.runs = RunHistory(ports.store)
        self.planner = planner = RunPlanner(
            ports.store, ports.contract, ports.changed_users, policy, rotate_chunks=rotate_chunks
        )
        corrector = Corrector(ports.ledger, ports.contract, ports.clock)
        worker = ChunkWorker(Scanner(ports.ledger, ports.contract), corrector, ports.store)
        self.named_reconciler = NamedReconciler(
            ports.ledger,
            ports.contract,
            self.user_reconciler,
            corrector,
            ports.clock,
            ports.queue,
        )
        runner = InlineRunner(ports.store, worker, ports.clock, lease_s=lease_s)
        self.sweeper = Sweeper(ports.store, planner, runner)
        dispatcher: Dispatcher | None = None
        self._queue_worker: QueueWorker | None = None
        if ports.queue is not None:
            dispatcher = Dispatcher(ports.store, ports.queue)
            self._queue_worker = QueueWorker(
                ports.store,
                worker,
                self.named_reconciler,
                ports.queue,
                dispatcher,
                lease_s=lease_s,
            )
        self.ticker = Ticker(ports.store, planner, runner, dispatcher, ports.clock)

    @property
    def queue_worker(self) -> QueueWorker:
        """Raises InvalidSettings when there is no queue."""
        if self._queue_worker is None:
            raise InvalidSettings(
                "RECONCILE_QUEUE_URL: there is no queue to work chunks from",
                remedy="Set it to the URL of the SQS queue that invokes sweep_chunk.",
            )
        return self._queue_worker
