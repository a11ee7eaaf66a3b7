"""Alerts through apprise: Slack, e-mail, pagers, webhooks and many more, each by a URL.

apprise is imported when the first message is sent: it takes half a second.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shared.adapters.alert_channel_name import channel_name
from shared.core.alert import Severity
from shared.core.errors import AlertNotDelivered, InvalidSettings
from shared.ports.alerts import AlertText

if TYPE_CHECKING:
    from apprise import NotifyBase

ERROR_CHARS_MAX = 300

_PART_CHARS_MIN = 4
"""Shorter parts of a URL are no secrets, and would tear holes into harmless words."""
_PASSWORD = re.compile(r"//[^/\s]*?:([^/\s]+)@")
_REMEDY = "Check the URL and the service behind it; `reconcile alerts test` tries it at once."


class AppriseChannel:
    """Implements the port `AlertChannel` for one URL of RECONCILE_ALERT_URLS.

    `position` counts from 1 and is what errors name: the URL is a secret.
    """

    def __init__(self, url: str, position: int) -> None:
        self._url = url
        self._position = position
        self.name = channel_name(url)

    def check(self) -> None:
        if _made(self._url) is None:
            raise InvalidSettings(
                f"RECONCILE_ALERT_URLS: number {self._position} is no URL that apprise knows",
                remedy="Write it as https://appriseit.com/services/ says for its service.",
            )

    def send(self, text: AlertText, severity: Severity) -> None:
        import apprise

        # A new one each time: it would wait between two messages, by the rate of its service.
        service = _made(self._url)
        if service is None:
            raise AlertNotDelivered(
                f"number {self._position} of RECONCILE_ALERT_URLS is no URL that apprise knows",
                remedy="Write it as https://appriseit.com/services/ says for its service.",
            )
        target = apprise.Apprise()
        target.add(service)
        with _complaining() as complaints:
            went = target.notify(
                body=text.body,
                title=text.title,
                notify_type=_TYPES[severity],
                body_format=apprise.NotifyFormat.TEXT,
            )
        if not went:
            why = without_parts_of(self._url, "; ".join(complaints)) or "no reason was given"
            raise AlertNotDelivered(
                f"{self.name} did not take the message ({why[:ERROR_CHARS_MAX]})", remedy=_REMEDY
            )


_TYPES = {Severity.INFO: "success", Severity.WARNING: "warning", Severity.CRITICAL: "failure"}
"""What apprise calls them: it chooses colours and icons by it."""


def without_parts_of(url: str, text: str) -> str:
    """The text without anything that stands in the URL after its scheme."""
    rest = url.partition("://")[2]
    parts = {part for part in re.split(r"[^\w.%+~-]+", rest) if len(part) >= _PART_CHARS_MIN}
    parts |= set(_PASSWORD.findall(url))
    for part in sorted(parts | {unquote(part) for part in parts}, key=len, reverse=True):
        text = text.replace(part, "[…]")
    return text


def _made(url: str) -> "NotifyBase | None":
    """None when it cannot be one."""
    import apprise

    log = logging.getLogger("apprise")
    log.propagate = False  # its lines may show parts of a URL
    if _told not in log.handlers:
        log.addHandler(_told)
    return apprise.Apprise.instantiate(url, suppress_exceptions=True)


_complaints: ContextVar[list[str] | None] = ContextVar("complaints", default=None)
"""What apprise logs of a sending, its only way to say why it failed. Its threads have the context
of who asked."""


@contextmanager
def _complaining() -> Iterator[list[str]]:
    lines: list[str] = []
    token = _complaints.set(lines)
    try:
        yield lines
    finally:
        _complaints.reset(token)


class _Told(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if (lines := _complaints.get()) is not None:
            lines.append(record.getMessage())


_told = _Told(logging.WARNING)
