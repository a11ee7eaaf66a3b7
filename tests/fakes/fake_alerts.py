"""An alert store in memory, as the procedures of 017 behave."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from shared.core.alert import Alert, AlertKind
from shared.core.alert_message import (
    AlertEvent,
    AlertMessage,
    Delivery,
    DeliveryState,
    StoredAlert,
    StoredDelivery,
)
from shared.core.amount import FlowAmount
from shared.core.errors import RunNotApplicable
from shared.core.outcome import Outcome
from shared.core.overdue import Freshness
from shared.core.run_alert import Drift, EndedRun, Observations
from shared.ports.alerts import Announced, Observed
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_run_store import FakeRunStore
from tests.fakes.faults import Faulty

LARGEST = 3
ORPHANED = timedelta(days=3)
LATELY = timedelta(days=7)
_DRIFTED = (Outcome.CORRECTED, Outcome.WOULD_CORRECT, Outcome.CHANGED_MEANWHILE)


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """A delivery, what it says, and who has it."""

    stored: StoredDelivery
    message: AlertMessage
    token: UUID | None = None
    leased_until: datetime | None = None

    def having(self, **changes: object) -> "DeliveryRow":
        """A copy with some fields of what is listed replaced."""
        return replace(self, stored=replace(self.stored, **changes))  # type: ignore[arg-type]

    def is_free(self, now: datetime) -> bool:
        is_pending = self.stored.state is DeliveryState.PENDING
        return is_pending and (self.leased_until is None or self.leased_until <= now)


class FakeAlerts(Faulty):
    """Implements the port `AlertStore`, in one database with the runs of a fake run store."""

    def __init__(self, runs: FakeRunStore, clock: FakeClock) -> None:
        super().__init__(runs.lock)
        self._runs = runs
        self._clock = clock
        self._alerts: dict[UUID, StoredAlert] = {}
        self._deliveries: dict[int, DeliveryRow] = {}
        self._announced: set[UUID] = set()
        self._first_tick_at: datetime | None = None
        self._numbers = count(1)

    def _begin(self) -> Callable[[], None]:
        before = dict(self._alerts), dict(self._deliveries), set(self._announced)

        def roll_back() -> None:
            self._alerts, self._deliveries, self._announced = before

        return roll_back

    # -- conditions ---------------------------------------------------------------------------

    def observe(
        self,
        kind: AlertKind,
        alert: Alert | None,
        *,
        run_id: UUID | None,
        channels: Sequence[str],
    ) -> Observed:
        with self._call("observe"):
            return self._observe(kind, alert, run_id, channels)

    def announce(
        self, run_id: UUID, observations: Observations, *, channels: Sequence[str]
    ) -> Announced:
        with self._call("announce"):
            run = self._runs.get_run(run_id)
            if run.dry_run or run.finished_at is None:
                raise RunNotApplicable("it cannot be announced", remedy="Wait for its end.")
            if run_id in self._announced:
                return Announced(announced=False)
            observed = [
                self._observe(kind, observations[kind], run_id, channels)
                for kind in sorted(observations)
            ]
            self._announced.add(run_id)
            return Announced(announced=True, deliveries=sum(each.deliveries for each in observed))

    def unannounced(self, *, limit: int) -> list[EndedRun]:
        with self._call("unannounced"):
            ended = [
                run
                for run in self._runs.list_runs(limit=1_000)
                if not run.dry_run and run.finished_at and run.run_id not in self._announced
            ]
            ended.sort(key=lambda run: (run.finished_at, run.run_id))
            return [EndedRun(run=run, drift=self._drift(run.run_id)) for run in ended[:limit]]

    def _observe(
        self, kind: AlertKind, alert: Alert | None, run_id: UUID | None, channels: Sequence[str]
    ) -> Observed:
        now = self._clock.now()
        held = next((a for a in self._alerts.values() if a.kind is kind and a.is_open), None)
        if held is None:
            return Observed() if alert is None else self._open(alert, run_id, channels)
        if alert is None:
            told = self._told(held, since=held.opened_at)
            self._alerts[held.alert_id] = over = replace(held, resolved_at=now)
            about = replace(over, run_id=run_id or held.run_id)
            return self._tell(about, AlertEvent.RESOLVED, channels if told else ())
        if alert.state == held.state:
            seen = replace(held, last_seen_at=now, times=held.times + 1)
            self._alerts[held.alert_id] = seen
            told = self._told(held, since=held.changed_at)
            told_now = self._tell(
                seen, AlertEvent.OPENED, [each for each in channels if each not in told]
            )
            return replace(told_now, event=None)
        changed = replace(
            held,
            severity=alert.severity,
            state=alert.state,
            summary=alert.summary,
            remedy=alert.remedy,
            facts=dict(alert.facts),
            run_id=run_id,
            changed_at=now,
            last_seen_at=now,
            times=held.times + 1,
        )
        self._alerts[held.alert_id] = changed
        return self._tell(changed, AlertEvent.CHANGED, channels)

    def _open(self, alert: Alert, run_id: UUID | None, channels: Sequence[str]) -> Observed:
        now = self._clock.now()
        opened = StoredAlert(
            alert_id=uuid4(),
            kind=alert.kind,
            severity=alert.severity,
            state=alert.state,
            summary=alert.summary,
            remedy=alert.remedy,
            facts=dict(alert.facts),
            opened_at=now,
            changed_at=now,
            last_seen_at=now,
            times=1,
            run_id=run_id,
        )
        self._alerts[opened.alert_id] = opened
        return self._tell(opened, AlertEvent.OPENED, channels)

    def _told(self, alert: StoredAlert, *, since: datetime) -> set[str]:
        return {
            row.stored.channel
            for row in self._deliveries.values()
            if row.stored.alert_id == alert.alert_id and row.stored.created_at >= since
        }

    def _tell(self, alert: StoredAlert, event: AlertEvent, channels: Sequence[str]) -> Observed:
        now = self._clock.now()
        message = AlertMessage(
            event=event,
            kind=alert.kind,
            severity=alert.severity,
            summary=alert.summary,
            remedy=alert.remedy,
            facts=alert.facts,
            since=alert.opened_at,
            at=now,
            run_id=alert.run_id,
        )
        names = sorted(set(channels))
        for name in names:
            stored = StoredDelivery(
                delivery_id=next(self._numbers),
                alert_id=alert.alert_id,
                kind=alert.kind,
                event=event,
                channel=name,
                state=DeliveryState.PENDING,
                attempts=0,
                created_at=now,
                next_at=now,
            )
            self._deliveries[stored.delivery_id] = DeliveryRow(stored=stored, message=message)
        return Observed(event=event, alert_id=alert.alert_id, deliveries=len(names))

    def _drift(self, run_id: UUID) -> Drift:
        results = self._runs.list_results(run_id, after=None, limit=50_000, outcomes=list(_DRIFTED))
        found = [(each.user_address, each.discrepancy) for each in results if each.discrepancy]
        amounts = [amount for _, amount in found if amount is not None]
        largest = sorted(found, key=lambda each: (-abs(each[1] or 0), each[0]))[:LARGEST]
        return Drift(
            users=len(found),
            surplus=FlowAmount(sum(amount for amount in amounts if amount > 0)),
            deficit=FlowAmount(sum(amount for amount in amounts if amount < 0)),
            largest=tuple((user, amount) for user, amount in largest if amount is not None),
        )

    # -- the outbox ---------------------------------------------------------------------------

    def lease(
        self, channels: Sequence[str], *, token: UUID, lease_s: float, limit: int, attempts_max: int
    ) -> list[Delivery]:
        with self._call("lease"):
            self._give_up(channels, attempts_max)
            if not self._leased_by(token):
                until = self._clock.now() + timedelta(seconds=lease_s)
                due = [row for row in self._rows() if self._is_due(row, channels)]
                for row in due[:limit]:
                    leased = row.having(attempts=row.stored.attempts + 1)
                    self._put(replace(leased, token=token, leased_until=until))
            return [
                Delivery(
                    delivery_id=row.stored.delivery_id,
                    token=token,
                    channel=row.stored.channel,
                    attempt=row.stored.attempts,
                    message=row.message,
                )
                for row in self._leased_by(token)
            ]

    def sent(self, delivery: Delivery) -> None:
        with self._call("sent"):
            now = self._clock.now()
            self._finish(delivery, state=DeliveryState.SENT, sent_at=now, error=None)

    def failed(self, delivery: Delivery, error: str, *, retry_after_s: float | None) -> None:
        with self._call("failed"):
            if retry_after_s is None:
                self._finish(delivery, state=DeliveryState.GAVE_UP, error=error)
            else:
                next_at = self._clock.now() + timedelta(seconds=retry_after_s)
                self._finish(delivery, next_at=next_at, error=error)

    def _finish(self, delivery: Delivery, **changes: object) -> None:
        row = self._deliveries.get(delivery.delivery_id)
        if row is None or row.token != delivery.token:
            return
        if row.stored.state is DeliveryState.PENDING:
            self._put(replace(row.having(**changes), leased_until=None))

    def _is_due(self, row: DeliveryRow, channels: Sequence[str]) -> bool:
        now, stored = self._clock.now(), row.stored
        return (
            row.is_free(now)
            and stored.channel in channels
            and stored.next_at <= now
            and not any(
                (other.stored.alert_id, other.stored.channel) == (stored.alert_id, stored.channel)
                and other.stored.delivery_id < stored.delivery_id
                and other.stored.state is DeliveryState.PENDING
                for other in self._rows()
            )
        )

    def _give_up(self, channels: Sequence[str], attempts_max: int) -> None:
        now = self._clock.now()
        for row in self._rows():
            stored = row.stored
            lost = stored.attempts >= attempts_max
            waited = stored.created_at <= now - ORPHANED and stored.next_at <= now
            if row.is_free(now) and (lost or (waited and stored.channel not in channels)):
                why = "its senders were lost" if lost else "nobody who has this channel came"
                error = stored.error or why
                self._put(
                    replace(row.having(state=DeliveryState.GAVE_UP, error=error), leased_until=None)
                )

    def _leased_by(self, token: UUID) -> list[DeliveryRow]:
        now = self._clock.now()
        return [
            row
            for row in self._rows()
            if row.stored.state is DeliveryState.PENDING
            and row.token == token
            and row.leased_until is not None
            and row.leased_until > now
        ]

    def _rows(self) -> list[DeliveryRow]:
        return list(self._deliveries.values())

    def _put(self, row: DeliveryRow) -> None:
        self._deliveries[row.stored.delivery_id] = row

    # -- reading ------------------------------------------------------------------------------

    def tick(self) -> Freshness:
        with self._call("tick"):
            now = self._clock.now()
            self._first_tick_at = self._first_tick_at or now
            covering = self._runs.covering_run()
            return Freshness(
                now=now,
                watched_since=self._first_tick_at,
                covered_at=None if covering is None else covering.finished_at,
            )

    def list_alerts(
        self, *, open_only: bool, before: UUID | None = None, limit: int = 50
    ) -> list[StoredAlert]:
        with self._call("list_alerts"):
            newest = sorted(
                self._alerts.values(), key=lambda each: (each.opened_at, each.alert_id)
            )[::-1]
            if before is not None:
                ids = [each.alert_id for each in newest]
                newest = newest[ids.index(before) + 1 :] if before in ids else []
            return [each for each in newest if each.is_open or not open_only][:limit]

    def list_deliveries(
        self, *, undelivered: bool, before: int | None = None, limit: int = 50
    ) -> list[StoredDelivery]:
        with self._call("list_deliveries"):
            lately = self._clock.now() - LATELY
            newest = [row.stored for row in self._rows()][::-1]
            return [
                each
                for each in newest
                if (before is None or each.delivery_id < before)
                and (
                    not undelivered
                    or each.state is DeliveryState.PENDING
                    or (each.state is DeliveryState.GAVE_UP and each.created_at > lately)
                )
            ][:limit]
