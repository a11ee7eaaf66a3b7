"""Alerts for tests, and channels that keep what they are given."""

from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.alert_message import AlertEvent, AlertMessage
from shared.core.errors import AlertNotDelivered, InvalidSettings
from shared.ports.alerts import AlertText
from tests.fakes.fake_clock import START

RUN_ID = UUID("6900f7a2-1c68-4b4d-a152-04c73fea725e")


def alert(state: str = "bad", **changes: object) -> Alert:
    """An alert in this state, with some fields replaced."""
    fields = {
        "kind": AlertKind.AUDIT_BROKEN,
        "severity": Severity.WARNING,
        "state": state,
        "summary": f"It is {state}.",
        "remedy": "Look.",
        "facts": {"Users": "3", "FLOW": "1.50000000"},
    }
    return Alert(**{**fields, **changes})  # type: ignore[arg-type]


def message(event: AlertEvent = AlertEvent.OPENED, **changes: object) -> AlertMessage:
    """A message about a halted run, 65 minutes after it had begun."""
    fields = {
        "event": event,
        "kind": AlertKind.RUN_HALTED,
        "severity": Severity.CRITICAL,
        "summary": "The safety stop halted a run.",
        "remedy": "Check the address.",
        "facts": {"Users looked at": "1,000", "Who": "ADMIN"},
        "since": START,
        "at": START + timedelta(minutes=65),
        "run_id": RUN_ID,
    }
    return AlertMessage(**{**fields, **changes})  # type: ignore[arg-type]


class PlainTexts:
    """Implements the port `AlertTexts` in few words."""

    def of(self, message: AlertMessage) -> AlertText:
        return AlertText(f"{message.event} {message.kind}", message.summary)

    def of_test(self) -> AlertText:
        return AlertText("test", "nothing is wrong")


class FakeChannel:
    """Implements the port `AlertChannel`; `titles` is what came through."""

    def __init__(self, name: str, *, is_valid: bool = True) -> None:
        self.name = name
        self.titles: list[str] = []
        self.severities: list[Severity] = []
        self.fault: Exception | None = None
        """Raised by every message while it is set."""
        self._is_valid = is_valid
        self._lock = Lock()

    def break_down(self) -> None:
        """It takes no message until it is `mended`."""
        self.fault = AlertNotDelivered("no answer", remedy="Try again.")

    def mend(self) -> None:
        self.fault = None

    def check(self) -> None:
        if not self._is_valid:
            raise InvalidSettings("number 1 is no URL", remedy="Correct it.")

    def send(self, text: AlertText, severity: Severity) -> None:
        if self.fault is not None:
            raise self.fault
        with self._lock:
            self.titles.append(text.title)
            self.severities.append(severity)


def later(**time: float) -> datetime:
    """So long after the start of a fake clock."""
    return START + timedelta(**time)
