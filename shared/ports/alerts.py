"""Telling people: where alerts are kept, and through what they are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.alert_message import (
    AlertEvent,
    AlertMessage,
    Delivery,
    StoredAlert,
    StoredDelivery,
)
from shared.core.overdue import Freshness
from shared.core.run_alert import EndedRun, Observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What an observation changed. `event` None: nothing is new. `deliveries`: messages added."""

    event: AlertEvent | None = None
    alert_id: UUID | None = None
    deliveries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """`announced` False: the run was announced before, and nothing is changed."""

    announced: bool
    deliveries: int = 0


class AlertStore(Protocol):
    """Conditions and the messages about them, kept where every process sees them.

    A change of a condition and its messages are one transaction. Every method may raise
    LedgerError. All are safe to repeat when an answer was lost.
    """

    def observe(
        self,
        kind: AlertKind,
        alert: Alert | None,
        *,
        run_id: UUID | None,
        channels: Sequence[str],
    ) -> Observed:
        """The condition `kind` is now this alert, or (None) is over.

        A message for each channel is stored when it begins, changes its state or ends. Of
        concurrent observers one does that.
        """

    def announce(
        self, run_id: UUID, observations: Observations, *, channels: Sequence[str]
    ) -> Announced:
        """Observe what an ended run says and mark it as announced, all or nothing, once.

        Raises RunNotFound, RunNotApplicable when it has not ended or was a dry run.
        """

    def unannounced(self, *, limit: int) -> list[EndedRun]:
        """Runs that may write, have ended and are not announced; who ended first is first."""

    def lease(
        self, channels: Sequence[str], *, token: UUID, lease_s: float, limit: int, attempts_max: int
    ) -> list[Delivery]:
        """Messages for these channels that are due. Of an alert and a channel the earlier goes
        first. The same `token` again gets the same messages, until the lease is over."""

    def sent(self, delivery: Delivery) -> None:
        """The message went out. Nothing happens if somebody else has leased it since."""

    def failed(self, delivery: Delivery, error: str, *, retry_after_s: float | None) -> None:
        """It did not; try again after that, or (None) never."""

    def tick(self) -> Freshness:
        """Note that the watchdog is at work."""

    def list_alerts(
        self, *, open_only: bool, before: UUID | None = None, limit: int = 50
    ) -> list[StoredAlert]:
        """The newest first, those that were opened before the alert `before`."""

    def list_deliveries(
        self, *, undelivered: bool, before: int | None = None, limit: int = 50
    ) -> list[StoredDelivery]:
        """The newest first. `undelivered`: those that wait, and those lately given up."""


@dataclass(frozen=True, slots=True)
class AlertText:
    """What people read. `title` is one line."""

    title: str
    body: str


class AlertTexts(Protocol):
    """Messages in words."""

    def of(self, message: AlertMessage) -> AlertText:
        """The text of a message."""

    def of_test(self) -> AlertText:
        """A text that says that it is only a test."""


class AlertChannel(Protocol):
    """One way to people, such as a room or an address. `name` holds no secret."""

    @property
    def name(self) -> str: ...

    def check(self) -> None:
        """Raises InvalidSettings when nothing could ever be sent through it."""

    def send(self, text: AlertText, severity: Severity) -> None:
        """Send it now. Raises AlertNotDelivered; its text is free of secrets."""
