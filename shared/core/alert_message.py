"""An alert as it is stored and told: its messages, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.core.alert import AlertKind, Severity
from shared.core.outcome import iso_utc


class AlertEvent(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    CHANGED = "changed"
    """It holds still, in another state."""
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertMessage:
    """What one message says: the alert as it was `at` that moment, and `since` when it holds.

    Of a `resolved` one, `run_id` is the run that showed that it is over, if one did.
    """

    event: AlertEvent
    kind: AlertKind
    severity: Severity
    summary: str
    remedy: str
    facts: Mapping[str, str]
    since: datetime
    at: datetime
    run_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message for one channel that this process alone sends, until its lease is over.

    `attempt` counts from 1.
    """

    delivery_id: int
    token: UUID
    channel: str
    attempt: int
    message: AlertMessage


class DeliveryState(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDelivery:
    """What became of one message for one channel. `error` is of the last attempt that failed."""

    delivery_id: int
    alert_id: UUID
    kind: AlertKind
    event: AlertEvent
    channel: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_at: datetime
    sent_at: datetime | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, what is not known as null."""
        return {
            "deliveryId": self.delivery_id,
            "alertId": str(self.alert_id),
            "kind": str(self.kind),
            "event": str(self.event),
            "channel": self.channel,
            "state": str(self.state),
            "attempts": self.attempts,
            "createdAt": iso_utc(self.created_at),
            "nextAt": iso_utc(self.next_at) if self.state is DeliveryState.PENDING else None,
            "sentAt": None if self.sent_at is None else iso_utc(self.sent_at),
            "error": self.error,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """A condition from its first observation until it was over, or until now.

    `changed_at`: since when it is in this `state`. `times`: how often it was observed.
    """

    alert_id: UUID
    kind: AlertKind
    severity: Severity
    state: str
    summary: str
    remedy: str
    facts: Mapping[str, str]
    opened_at: datetime
    changed_at: datetime
    last_seen_at: datetime
    times: int
    run_id: UUID | None = None
    resolved_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Does it hold still?"""
        return self.resolved_at is None

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, what is not known as null."""
        return {
            "alertId": str(self.alert_id),
            "kind": str(self.kind),
            "severity": str(self.severity),
            "state": self.state,
            "summary": self.summary,
            "remedy": self.remedy,
            "facts": dict(self.facts),
            "runId": None if self.run_id is None else str(self.run_id),
            "openedAt": iso_utc(self.opened_at),
            "changedAt": iso_utc(self.changed_at),
            "lastSeenAt": iso_utc(self.last_seen_at),
            "times": self.times,
            "resolvedAt": None if self.resolved_at is None else iso_utc(self.resolved_at),
        }
