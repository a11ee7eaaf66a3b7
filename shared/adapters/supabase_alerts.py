"""Alerts in Supabase behind the port `AlertStore`, by the procedures of 017."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.adapters.supabase_run_answers import run_of
from shared.adapters.supabase_run_refusals import refusal_of
from shared.core.alert import Alert, AlertKind, Severity
from shared.core.alert_message import (
    AlertEvent,
    AlertMessage,
    Delivery,
    DeliveryState,
    StoredAlert,
    StoredDelivery,
)
from shared.core.amount import parse_amount
from shared.core.overdue import Freshness
from shared.core.run_alert import Drift, EndedRun, Observations
from shared.ports.alerts import Announced, Observed

ERROR_CHARS_MAX = 1_000


class SupabaseAlerts:
    """See docs/sql-api.md for the procedures' answers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # -- conditions ---------------------------------------------------------------------------

    def observe(
        self,
        kind: AlertKind,
        alert: Alert | None,
        *,
        run_id: UUID | None,
        channels: Sequence[str],
    ) -> Observed:
        answer = self._call(
            "observe_alert",
            {
                "p_kind": kind,
                "p_alert": _alert_json(alert),
                "p_run_id": None if run_id is None else str(run_id),
                "p_channels": list(channels),
            },
        )
        with reading("observe_alert"):
            return Observed(
                event=None if answer["event"] is None else AlertEvent(answer["event"]),
                alert_id=None if answer["alert_id"] is None else UUID(answer["alert_id"]),
                deliveries=int(answer["deliveries"]),
            )

    def announce(
        self, run_id: UUID, observations: Observations, *, channels: Sequence[str]
    ) -> Announced:
        answer = self._call(
            "announce_reconciliation_run",
            {
                "p_run_id": str(run_id),
                "p_observations": [
                    {"kind": kind, "alert": _alert_json(alert)}
                    for kind, alert in observations.items()
                ],
                "p_channels": list(channels),
            },
        )
        if error := refusal_of("announce_reconciliation_run", answer, str(run_id)):
            raise error
        with reading("announce_reconciliation_run"):
            return Announced(
                announced=bool(answer["announced"]), deliveries=int(answer["deliveries"])
            )

    def unannounced(self, *, limit: int) -> list[EndedRun]:
        answer = self._call("list_unannounced_runs", {"p_limit": limit})
        with reading("list_unannounced_runs"):
            return [
                EndedRun(run=run_of(each["run"]), drift=_drift_of(each["drift"]))
                for each in _rows(answer)
            ]

    # -- the outbox ---------------------------------------------------------------------------

    def lease(
        self, channels: Sequence[str], *, token: UUID, lease_s: float, limit: int, attempts_max: int
    ) -> list[Delivery]:
        answer = self._call(
            "lease_alert_deliveries",
            {
                "p_channels": list(channels),
                "p_token": str(token),
                "p_lease_s": lease_s,
                "p_limit": limit,
                "p_attempts_max": attempts_max,
            },
        )
        with reading("lease_alert_deliveries"):
            return [
                Delivery(
                    delivery_id=each["delivery_id"],
                    token=token,
                    channel=each["channel"],
                    attempt=each["attempt"],
                    message=_message_of(each["message"]),
                )
                for each in _rows(answer)
            ]

    def sent(self, delivery: Delivery) -> None:
        self._finish(delivery, {})

    def failed(self, delivery: Delivery, error: str, *, retry_after_s: float | None) -> None:
        text = error[:ERROR_CHARS_MAX].replace("\0", "")  # which PostgreSQL does not take
        self._finish(delivery, {"p_error": text, "p_retry_s": retry_after_s})

    def _finish(self, delivery: Delivery, outcome: dict[str, Any]) -> None:
        answer = self._call(
            "finish_alert_delivery",
            {"p_delivery_id": delivery.delivery_id, "p_token": str(delivery.token), **outcome},
        )
        with reading("finish_alert_delivery"):
            bool(answer["stored"])

    # -- reading ------------------------------------------------------------------------------

    def tick(self) -> Freshness:
        answer = self._call("tick_watchdog", {})
        with reading("tick_watchdog"):
            return Freshness(
                now=_moment(answer["tick_at"]),
                watched_since=_moment(answer["first_tick_at"]),
                covered_at=_moment_or_none(answer["covered_at"]),
            )

    def list_alerts(
        self, *, open_only: bool, before: UUID | None = None, limit: int = 50
    ) -> list[StoredAlert]:
        answer = self._call(
            "list_alerts",
            {
                "p_open_only": open_only,
                "p_before": None if before is None else str(before),
                "p_limit": limit,
            },
        )
        with reading("list_alerts"):
            return [_stored_of(each) for each in _rows(answer)]

    def list_deliveries(
        self, *, undelivered: bool, before: int | None = None, limit: int = 50
    ) -> list[StoredDelivery]:
        answer = self._call(
            "list_alert_deliveries",
            {"p_undelivered": undelivered, "p_before": before, "p_limit": limit},
        )
        with reading("list_alert_deliveries"):
            return [_delivery_of(each) for each in _rows(answer)]

    def _call(self, procedure: str, parameters: dict[str, Any]) -> Any:
        return call(self._client, procedure, parameters)


def _alert_json(alert: Alert | None) -> dict[str, Any] | None:
    if alert is None:
        return None
    return {
        "severity": alert.severity,
        "state": alert.state,
        "summary": alert.summary,
        "remedy": alert.remedy,
        "facts": dict(alert.facts),
    }


def _drift_of(answer: Any) -> Drift:
    return Drift(
        users=answer["users"],
        surplus=parse_amount(answer["surplus"]),
        deficit=parse_amount(answer["deficit"]),
        largest=tuple(
            (each["user_address"], parse_amount(each["discrepancy"])) for each in answer["largest"]
        ),
    )


def _message_of(answer: Any) -> AlertMessage:
    return AlertMessage(
        event=AlertEvent(answer["event"]),
        kind=AlertKind(answer["kind"]),
        severity=Severity(answer["severity"]),
        summary=answer["summary"],
        remedy=answer["remedy"],
        facts=dict(answer["facts"]),
        since=_moment(answer["since"]),
        at=_moment(answer["at"]),
        run_id=None if answer["run_id"] is None else UUID(answer["run_id"]),
    )


def _stored_of(answer: Any) -> StoredAlert:
    return StoredAlert(
        alert_id=UUID(answer["alert_id"]),
        kind=AlertKind(answer["kind"]),
        severity=Severity(answer["severity"]),
        state=answer["state"],
        summary=answer["summary"],
        remedy=answer["remedy"],
        facts=dict(answer["facts"]),
        opened_at=_moment(answer["opened_at"]),
        changed_at=_moment(answer["changed_at"]),
        last_seen_at=_moment(answer["last_seen_at"]),
        times=answer["times"],
        run_id=None if answer["run_id"] is None else UUID(answer["run_id"]),
        resolved_at=_moment_or_none(answer["resolved_at"]),
    )


def _delivery_of(answer: Any) -> StoredDelivery:
    return StoredDelivery(
        delivery_id=answer["delivery_id"],
        alert_id=UUID(answer["alert_id"]),
        kind=AlertKind(answer["kind"]),
        event=AlertEvent(answer["event"]),
        channel=answer["channel"],
        state=DeliveryState(answer["state"]),
        attempts=answer["attempts"],
        created_at=_moment(answer["created_at"]),
        next_at=_moment(answer["next_at"]),
        sent_at=_moment_or_none(answer["sent_at"]),
        error=answer["error"],
    )


def _rows(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise TypeError("no list")
    return answer


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)
