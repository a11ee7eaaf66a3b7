"""Messages in words: the templates of this folder, in plain text."""

from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from shared.core.alert import AlertKind
from shared.core.alert_message import AlertMessage
from shared.ports.alerts import AlertText

if TYPE_CHECKING:
    from jinja2 import Environment

LINE_CHARS_MAX = 500
"""A longer text from elsewhere, such as an error's, is cut."""

_FOLDER = Path(__file__).parent
_OF_RUNS = frozenset({AlertKind.RUN_DISCREPANCIES, AlertKind.RUN_HALTED, AlertKind.RUN_FAILED})
_OF_SOLVENCY = frozenset({AlertKind.SOLVENCY_MISMATCH, AlertKind.SOLVENCY_UNREADABLE})


class TemplateTexts:
    """Implements the port `AlertTexts`. `dashboard_url` None: no links."""

    def __init__(self, stage: str, dashboard_url: str | None) -> None:
        self._stage = stage
        self._dashboard_url = None if dashboard_url is None else dashboard_url.rstrip("/")

    def of(self, message: AlertMessage) -> AlertText:
        return self._rendered(
            "alert",
            message=message,
            link=self._link(message),
            lasted=duration(message.at - message.since),
        )

    def of_test(self) -> AlertText:
        return self._rendered("test", link=self._dashboard_url)

    def _rendered(self, name: str, **values: object) -> AlertText:
        title, body = (
            self._templates.get_template(f"{name}_{part}.txt.j2").render(
                stage=self._stage, **values
            )
            for part in ("title", "body")
        )
        return AlertText(" ".join(title.split()), body.strip() + "\n")

    def _link(self, message: AlertMessage) -> str | None:
        if self._dashboard_url is None:
            return None
        if message.kind in _OF_RUNS and message.run_id is not None:
            return f"{self._dashboard_url}/runs/{message.run_id}"
        page = "solvency" if message.kind in _OF_SOLVENCY else "alerts"
        return f"{self._dashboard_url}/{page}"

    @cached_property
    def _templates(self) -> "Environment":
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        made = Environment(
            loader=FileSystemLoader(_FOLDER),
            undefined=StrictUndefined,
            autoescape=False,  # plain text; a channel that sends HTML escapes it by itself
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters |= {"line": one_line, "moment": moment}
        return made


def one_line(text: object) -> str:
    """Text from elsewhere, made harmless: one line of printable characters, cut when too long."""
    line = "".join(each if each.isprintable() else " " for each in str(text))
    return line if len(line) <= LINE_CHARS_MAX else line[: LINE_CHARS_MAX - 1] + "…"


def moment(value: datetime) -> str:
    """In UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def duration(value: timedelta) -> str:
    """The two greatest units of a time: `2 h 5 min`."""
    seconds = max(0, round(value.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3_600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"
