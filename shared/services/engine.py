"""The use cases, put together on ports alone: `bootstrap` gives them the real ones, tests fakes.

Each is imported and made at its first use: a function pays at its start for no other's.
"""

from typing import TYPE_CHECKING, Protocol

from shared.core.errors import InvalidSettings
from shared.core.policy import Policy
from shared.services.made_once import made_once

if TYPE_CHECKING:
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
    from shared.services.run_actions import RunActions
    from shared.services.run_history import RunHistory
    from shared.services.sweep import Sweeper
    from shared.services.tick import Ticker


class Ports(Protocol):
    """What the use cases run on; `queue` None: chunks are worked in line."""

    @property
    def ledger(self) -> "Ledger": ...
    @property
    def store(self) -> "RunStore": ...
    @property
    def contract(self) -> "ContractReader": ...
    @property
    def changed_users(self) -> "ChangedUsers": ...
    @property
    def clock(self) -> "Clock": ...
    @property
    def queue(self) -> "ChunkQueue | None": ...


class Engine:
    """One of each use case, for one ledger and one contract."""

    def __init__(
        self, ports: Ports, policy: Policy, *, lease_s: float = 120.0, rotate_chunks: int = 1
    ) -> None:
        self.clock = ports.clock
        self._ports = ports
        self._policy = policy
        self._lease_s = lease_s
        self._rotate_chunks = rotate_chunks

    @made_once
    def user_reconciler(self) -> "UserReconciler":
        from shared.services.reconcile_user import UserReconciler

        ports = self._ports
        return UserReconciler(ports.ledger, ports.contract, ports.clock, self._policy)

    @made_once
    def named_reconciler(self) -> "NamedReconciler":
        from shared.services.reconcile_named import NamedReconciler

        ports = self._ports
        return NamedReconciler(
            ports.ledger,
            ports.contract,
            self.user_reconciler,
            self._corrector,
            ports.clock,
            ports.queue,
        )

    @made_once
    def runs(self) -> "RunHistory":
        from shared.services.run_history import RunHistory

        return RunHistory(self._ports.store)

    @made_once
    def planner(self) -> "RunPlanner":
        from shared.services.plan_run import RunPlanner

        return RunPlanner(
            self._ports.store,
            self._ports.contract,
            self._ports.changed_users,
            self._policy,
            rotate_chunks=self._rotate_chunks,
        )

    @made_once
    def sweeper(self) -> "Sweeper":
        from shared.services.sweep import Sweeper

        return Sweeper(self._ports.store, self.planner, self._runner)

    @made_once
    def run_actions(self) -> "RunActions":
        from shared.services.run_actions import RunActions

        return RunActions(self._ports.store, self.planner, self._runner, self._dispatcher)

    @made_once
    def ticker(self) -> "Ticker":
        from shared.services.tick import Ticker

        ports = self._ports
        return Ticker(ports.store, self.planner, self._runner, self._dispatcher, ports.clock)

    @made_once
    def queue_worker(self) -> "QueueWorker":
        """Raises InvalidSettings when there is no queue."""
        from shared.services.queue_worker import QueueWorker

        ports = self._ports
        if ports.queue is None or self._dispatcher is None:
            raise InvalidSettings(
                "RECONCILE_QUEUE_URL: there is no queue to work chunks from",
                remedy="Set it to the URL of the SQS queue that invokes sweep_chunk.",
            )
        return QueueWorker(
            ports.store,
            self._worker,
            self.named_reconciler,
            ports.queue,
            self._dispatcher,
            lease_s=self._lease_s,
        )

    @made_once
    def _corrector(self) -> "Corrector":
        from shared.services.correct import Corrector

        return Corrector(self._ports.ledger, self._ports.contract, self._ports.clock)

    @made_once
    def _worker(self) -> "ChunkWorker":
        from shared.services.chunk_worker import ChunkWorker
        from shared.services.scan import Scanner

        ports = self._ports
        return ChunkWorker(Scanner(ports.ledger, ports.contract), self._corrector, ports.store)

    @made_once
    def _runner(self) -> "InlineRunner":
        from shared.services.inline_run import InlineRunner

        ports = self._ports
        return InlineRunner(ports.store, self._worker, ports.clock, lease_s=self._lease_s)

    @made_once
    def _dispatcher(self) -> "Dispatcher | None":
        if self._ports.queue is None:
            return None
        from shared.services.dispatch import Dispatcher

        return Dispatcher(self._ports.store, self._ports.queue)
