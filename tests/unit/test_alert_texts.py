"""The words of alerts, as people get them."""

from datetime import timedelta

import pytest

from shared.alerts.texts import LINE_CHARS_MAX, TemplateTexts, duration
from shared.core.alert import AlertKind
from shared.core.alert_message import AlertEvent
from tests.unit.alerts import RUN_ID, message

URL = "https://ops.example/dashboard/"


def test_an_alert_says_what_how_much_since_when_and_what_to_do() -> None:
    text = TemplateTexts("prod", URL).of(message())
    assert text.title == "[prod] CRITICAL: The safety stop halted a run."
    assert text.body == (
        "The safety stop halted a run.\n"
        "\n"
        "Users looked at: 1,000\n"
        "Who: ADMIN\n"
        "Since: 2026-01-02 03:04:05 UTC\n"
        f"Run: {RUN_ID}\n"
        "\n"
        "What to do: Check the address.\n"
        "Runbook: docs/runbook.md#run_halted\n"
        f"Dashboard: https://ops.example/dashboard/runs/{RUN_ID}\n"
    )


def test_a_change_says_since_when_anything_is_wrong() -> None:
    text = TemplateTexts("prod", None).of(message(AlertEvent.CHANGED))
    assert text.title == "[prod] CRITICAL, changed: The safety stop halted a run."
    since, changed = "2026-01-02 03:04:05 UTC", "2026-01-02 04:09:05 UTC"
    assert f"Since: {since}\nChanged: {changed}, after 1 h 5 min\n" in text.body


def test_a_recovery_says_how_long_it_lasted() -> None:
    text = TemplateTexts("prod", URL).of(message(AlertEvent.RESOLVED))
    assert text.title == "[prod] Resolved: run halted"
    assert text.body == (
        "It is over. It was: The safety stop halted a run.\n"
        "\n"
        "Since: 2026-01-02 03:04:05 UTC\n"
        "Until: 2026-01-02 04:09:05 UTC, after 1 h 5 min\n"
        f"Run: {RUN_ID}\n"
        "\n"
        f"Dashboard: https://ops.example/dashboard/runs/{RUN_ID}\n"
    )


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (AlertKind.RUN_FAILED, f"runs/{RUN_ID}"),
        (AlertKind.SOLVENCY_MISMATCH, "solvency"),
        (AlertKind.SOLVENCY_UNREADABLE, "solvency"),
        (AlertKind.SWEEP_OVERDUE, "alerts"),
        (AlertKind.AUDIT_BROKEN, "alerts"),
    ],
)
def test_the_link_leads_to_the_page_that_shows_it(kind: AlertKind, page: str) -> None:
    text = TemplateTexts("prod", URL).of(message(kind=kind))
    assert f"Dashboard: https://ops.example/dashboard/{page}\n" in text.body


def test_text_from_elsewhere_stays_one_line_and_is_cut() -> None:
    hostile = "x\r\nBcc: all@example.com\x1b[2J" + "y" * 1_000
    text = TemplateTexts("prod", None).of(message(summary=hostile, facts={"Error\n": hostile}))
    assert "\n" not in text.title
    assert "\x1b" not in text.title + text.body
    lines = text.body.splitlines()
    assert lines[0].startswith("x  Bcc: all@example.com [2Jyyy")
    assert max(map(len, lines)) <= LINE_CHARS_MAX + len("Error : ")


def test_markup_is_left_to_the_channel() -> None:
    text = TemplateTexts("prod", None).of(message(summary="{{ 7 * 7 }} <b>&</b>"))
    assert text.body.startswith("{{ 7 * 7 }} <b>&</b>\n")


def test_a_test_says_that_it_is_one() -> None:
    text = TemplateTexts("prod", URL).of_test()
    assert text.title == "[prod] Test of the alerts: nothing is wrong"
    assert text.body.endswith("nothing to do.\n\nDashboard: https://ops.example/dashboard\n")


@pytest.mark.parametrize(
    ("time", "said"),
    [
        ({"seconds": -1}, "0 s"),
        ({"seconds": 59.4}, "59 s"),
        ({"minutes": 2, "seconds": 5}, "2 min 5 s"),
        ({"hours": 3, "minutes": 1}, "3 h 1 min"),
        ({"days": 2, "hours": 5, "minutes": 59}, "2 d 5 h"),
    ],
)
def test_a_duration_is_its_two_greatest_units(time: dict[str, float], said: str) -> None:
    assert duration(timedelta(**time)) == said
