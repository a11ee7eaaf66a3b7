"""What looks after everything else: ended runs, freshness, messages and reports that wait."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from shared.core.alert import AlertKind
from shared.core.errors import ReconcileError
from shared.core.overdue import overdue
from shared.ports.alerts import AlertStore
from shared.services.alerter import Alerter, Delivered
from shared.services.announce_run import RunAnnouncer
from shared.services.deadline import ShouldStop


class PendingReports(Protocol):
    """Reports of ended runs that are not stored yet."""

    def store_pending(self, limit: int) -> int:
        """Store at most so many; how many were. Raises ReconcileError."""


@dataclass(slots=True, kw_only=True)
class Watched:
    """What one tick found and did. `is_overdue` None: freshness could not be judged."""

    announced: int = 0
    is_overdue: bool | None = None
    delivered: Delivered = field(default_factory=Delivered)
    reports: int = 0
    open_alerts: int = 0


class Watchdog:
    """Ticks every few minutes, and catches what a crash has left."""

    def __init__(
        self,
        store: AlertStore,
        alerter: Alerter,
        announcer: RunAnnouncer,
        *,
        overdue_hours: float,
        reports: PendingReports | None = None,
    ) -> None:
        self._store = store
        self._alerter = alerter
        self._announcer = announcer
        self._overdue_hours = overdue_hours
        self._reports = reports

    def tick(self, should_stop: ShouldStop) -> Watched:
        """Do all of it; what fails keeps nothing else from being done.

        Raises the first ReconcileError at the end, and InvalidSettings when there is a channel
        through which nothing could ever be sent.
        """
        watched = Watched()
        steps: list[Callable[[Watched], None]] = [
            lambda watched: self._announce(watched, should_stop),
            self._judge_freshness,
            self._deliver,
            lambda watched: self._store_reports(watched, should_stop),
            self._count_open,
            lambda watched: self._alerter.check(),
        ]
        errors: list[ReconcileError] = []
        for step in steps:
            try:
                step(watched)
            except ReconcileError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return watched

    def _announce(self, watched: Watched, should_stop: ShouldStop) -> None:
        watched.announced = self._announcer.announce(should_stop)

    def _judge_freshness(self, watched: Watched) -> None:
        alert = overdue(self._store.tick(), self._overdue_hours)
        watched.is_overdue = alert is not None
        self._store.observe(
            AlertKind.SWEEP_OVERDUE, alert, run_id=None, channels=self._alerter.channels
        )

    def _deliver(self, watched: Watched) -> None:
        watched.delivered = self._alerter.deliver()

    def _store_reports(self, watched: Watched, should_stop: ShouldStop) -> None:
        if self._reports is not None and not should_stop():
            watched.reports = self._reports.store_pending(_REPORTS_MAX)

    def _count_open(self, watched: Watched) -> None:
        watched.open_alerts = len(self._store.list_alerts(open_only=True))


_REPORTS_MAX = 5
"""Of one tick: a report of a large run takes seconds."""
