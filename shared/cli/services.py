"""What the command runs on: `shared.bootstrap.Services`, or a test's fakes."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.core.alert_message import StoredAlert, StoredDelivery
from shared.core.audit_chain import AuditVerification
from shared.core.hold import Hold, HoldChange
from shared.core.outcome import ReconciliationResult
from shared.core.report import PeriodReport, RunReport, UserReport
from shared.core.rollback import Rollback, RunRollback
from shared.core.run import Run
from shared.core.solvency import SolvencyCheck
from shared.core.sweep_result import SweepResult
from shared.services.deadline import ShouldStop
from shared.services.rollback import Progress
from shared.services.sweep import SweepHooks
from shared.services.verify_audit import Progress as AuditProgress


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


class Announcing(Protocol):
    """What the command needs of `RunAnnouncer`."""

    def announce_quietly(self) -> None: ...


class Alerting(Protocol):
    """What the command needs of `Alerter`."""

    @property
    def channels(self) -> list[str]: ...
    def test(self) -> dict[str, str | None]: ...


class RememberingAlerts(Protocol):
    """What the command needs of `AlertStore`."""

    def list_alerts(
        self, *, open_only: bool, before: UUID | None = None, limit: int = 50
    ) -> list[StoredAlert]: ...
    def list_deliveries(
        self, *, undelivered: bool, before: int | None = None, limit: int = 50
    ) -> list[StoredDelivery]: ...


class Holding(Protocol):
    """What the command needs of `HoldKeeper`."""

    def hold(self, user_address: str, admin_address: str, reason: str) -> HoldChange: ...
    def release(
        self, user_address: str, admin_address: str, reason: str | None = None
    ) -> HoldChange: ...
    def list(self, after: str | None = None, limit: int = 1_000) -> list[Hold]: ...


class RollingBack(Protocol):
    """What the command needs of `Rollbacker`."""

    def audit(
        self, audit_id: str, admin_address: str, reason: str, *, dry_run: bool = False
    ) -> Rollback: ...
    def run(
        self,
        run_id: UUID,
        admin_address: str,
        reason: str,
        *,
        dry_run: bool = False,
        after: str | None = None,
        progress: Progress = ...,
        should_stop: ShouldStop = ...,
    ) -> RunRollback: ...


class VerifyingAudit(Protocol):
    """What the command needs of `AuditVerifier`."""

    def verify(
        self,
        *,
        until: datetime | None = None,
        only_writer: bool = False,
        progress: AuditProgress = ...,
        should_stop: ShouldStop = ...,
    ) -> AuditVerification: ...
    def verify_user(
        self, user_address: str, *, until: datetime | None = None, only_writer: bool = False
    ) -> AuditVerification: ...


class CheckingSolvency(Protocol):
    """What the command needs of `SolvencyChecker`."""

    def check(
        self, admin_address: str, *, on_wait: Callable[[float], None] = ...
    ) -> SolvencyCheck: ...


class Reporting(Protocol):
    """What the command needs of `Reports`."""

    def run(self, run_id: UUID | None, made_by: str) -> RunReport: ...
    def period(self, since: datetime, until: datetime | None, made_by: str) -> PeriodReport: ...
    def user(self, user_address: str, made_by: str) -> UserReport: ...


class Services(Protocol):
    """All use cases."""

    @property
    def user_reconciler(self) -> Reconciling: ...
    @property
    def sweeper(self) -> Sweeping: ...
    @property
    def runs(self) -> Remembering: ...
    @property
    def holds(self) -> Holding: ...
    @property
    def rollbacks(self) -> RollingBack: ...
    @property
    def announcer(self) -> Announcing: ...
    @property
    def alerter(self) -> Alerting: ...
    @property
    def alerts(self) -> RememberingAlerts: ...
    @property
    def solvency(self) -> CheckingSolvency: ...
    @property
    def reports(self) -> Reporting: ...
    @property
    def audit_verifier(self) -> VerifyingAudit: ...
