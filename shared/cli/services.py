"""What the command runs on: `shared.bootstrap.Services`, or a test's fakes."""

from typing import Protocol
from uuid import UUID

from shared.core.outcome import ReconciliationResult
from shared.core.run import Run
from shared.core.sweep_result import SweepResult
from shared.services.sweep import SweepHooks


class Reconciling(Protocol):
    """What the command needs of `UserReconciler`."""

    def reconcile(self, user_address: str, admin_address: str) -> ReconciliationResult: ...
    def preview(self, user_address: str) -> ReconciliationResult: ...


class Sweeping(Protocol):
    """What the command needs of `Sweeper`."""

    def sweep(
        self,
        admin_address: str,
        *,
        dry_run: bool,
        incremental: bool = False,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult: ...
    def resume(self, *, hooks: SweepHooks | None = None) -> SweepResult: ...
    def apply(
        self,
        run_id: UUID,
        admin_address: str,
        *,
        accept_halt: str | None = None,
        hooks: SweepHooks | None = None,
    ) -> SweepResult: ...


class Remembering(Protocol):
    """What the command needs of `RunHistory`."""

    def list(self, limit: int = 50, before: UUID | None = None) -> list[Run]: ...
    def show(self, run_id: UUID) -> SweepResult: ...
    def cancel(self, run_id: UUID) -> Run: ...


class Services(Protocol):
    """All use cases."""

    @property
    def user_reconciler(self) -> Reconciling: ...
    @property
    def sweeper(self) -> Sweeping: ...
    @property
    def runs(self) -> Remembering: ...
