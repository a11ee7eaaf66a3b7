"""Tell people of conditions: once when one begins, changes or ends, through every channel."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.alert_message import AlertEvent, Delivery
from shared.core.errors import ReconcileError
from shared.core.run_alert import Observations
from shared.ports.alerts import AlertChannel, AlertStore, AlertText, AlertTexts
from shared.ports.clock import Clock
from shared.services.send_bounded import Sending, send_bounded

RETRY_AFTER_S = (60.0, 300.0, 1_800.0, 7_200.0)
"""How long a message waits after each attempt that failed; after the last one it is given up."""
ATTEMPTS_MAX = len(RETRY_AFTER_S) + 1
DELIVER_S = 10.0
"""How long `observe` goes on to send; the watchdog sends the rest."""
SEND_S = 20.0
"""How long one message may take."""

_BATCH = 10
_LEASE_S = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What was sent, and what was not: `failed` is tried again, `gave_up` is not."""

    sent: int = 0
    failed: int = 0
    gave_up: int = 0

    def __add__(self, other: "Delivered") -> "Delivered":
        return Delivered(
            sent=self.sent + other.sent,
            failed=self.failed + other.failed,
            gave_up=self.gave_up + other.gave_up,
        )


class Alerter:
    """Observes conditions, and delivers what the store keeps for the channels at hand.

    What is stored is sent once at least: a message whose sender died after sending it is sent
    again. A channel that fails is no other's fault, and nobody's run.
    """

    def __init__(
        self,
        store: AlertStore,
        channels: Sequence[AlertChannel],
        texts: AlertTexts,
        clock: Clock,
        *,
        send_s: float = SEND_S,
    ) -> None:
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._texts = texts
        self._clock = clock
        self._send_s = send_s

    @property
    def channels(self) -> list[str]:
        """Their names, which hold no secrets."""
        return list(self._channels)

    def observe(self, kind: AlertKind, alert: Alert | None, *, run_id: UUID | None = None) -> None:
        """The condition `kind` is now this alert, or (None) is over.

        People are told once while `alert.state` stays the same. Never raises ReconcileError: what
        cannot be stored is logged, and observed again the next time that somebody looks.
        """
        try:
            observed = self._store.observe(kind, alert, run_id=run_id, channels=self.channels)
            if observed.deliveries:
                self.deliver()
        except ReconcileError as error:
            _log.error("The alert %s could not be observed or sent: %s", kind, error)

    def announce(self, run_id: UUID, observations: Observations) -> bool:
        """Observe what an ended run says, once; False when somebody has. Sends nothing yet.

        Raises LedgerError, RunNotFound, RunNotApplicable.
        """
        return self._store.announce(run_id, observations, channels=self.channels).announced

    def deliver(self, within_s: float = DELIVER_S) -> Delivered:
        """Send what is due, until nothing is or no more is begun. Raises LedgerError."""
        ends_s = self._clock.monotonic_s() + within_s
        delivered = Delivered()
        while True:
            leased = self._store.lease(
                self.channels,
                token=uuid4(),
                lease_s=_LEASE_S,
                limit=_BATCH,
                attempts_max=ATTEMPTS_MAX,
            )
            if not leased:
                break
            delivered += self._send(leased)
            if self._clock.monotonic_s() >= ends_s:
                break
        return delivered

    def test(self) -> dict[str, str | None]:
        """Send a test through every channel: its name → None, or why it did not go."""
        text = self._texts.of_test()
        sendings = [_call(channel, text, Severity.INFO) for channel in self._channels.values()]
        return dict(zip(self._channels, send_bounded(sendings, self._send_s), strict=True))

    def check(self) -> None:
        """Raises InvalidSettings when nothing could ever be sent through one of the channels."""
        for channel in self._channels.values():
            channel.check()

    def _send(self, leased: Sequence[Delivery]) -> Delivered:
        """Send them and note all that can be noted: what went out should not go out twice."""
        faults = send_bounded([self._sending(each) for each in leased], self._send_s)
        delivered = Delivered()
        errors: list[ReconcileError] = []
        for delivery, fault in zip(leased, faults, strict=True):
            try:
                delivered += self._finish(delivery, fault)
            except ReconcileError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return delivered

    def _sending(self, delivery: Delivery) -> Sending:
        message = delivery.message
        is_over = message.event is AlertEvent.RESOLVED
        channel = self._channels[delivery.channel]
        return _call(
            channel, self._texts.of(message), Severity.INFO if is_over else message.severity
        )

    def _finish(self, delivery: Delivery, fault: str | None) -> Delivered:
        if fault is None:
            self._store.sent(delivery)
            return Delivered(sent=1)
        gives_up = delivery.attempt >= ATTEMPTS_MAX
        retry_after_s = None if gives_up else RETRY_AFTER_S[delivery.attempt - 1]
        _log.warning(
            "The alert %s was not sent to %s, attempt %d of %d: %s",
            delivery.message.kind,
            delivery.channel,
            delivery.attempt,
            ATTEMPTS_MAX,
            fault,
        )
        self._store.failed(delivery, fault, retry_after_s=retry_after_s)
        return Delivered(gave_up=1) if gives_up else Delivered(failed=1)


def _call(channel: AlertChannel, text: AlertText, severity: Severity) -> Sending:
    return lambda: channel.send(text, severity)
