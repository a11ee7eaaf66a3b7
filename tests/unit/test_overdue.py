from datetime import timedelta

import pytest

from shared.core.alert import AlertKind, Severity
from shared.core.overdue import Freshness, overdue
from tests.fakes.fake_clock import START

HOUR = timedelta(hours=1)


def seen(*, watched_h: float, covered_h: float | None) -> Freshness:
    """So many hours ago."""
    covered_at = None if covered_h is None else START - covered_h * HOUR
    return Freshness(now=START, watched_since=START - watched_h * HOUR, covered_at=covered_at)


@pytest.mark.parametrize(
    ("watched_h", "covered_h", "is_overdue"),
    [(100, 2.9, False), (100, 3, True), (1, 3, True), (2.9, None, False), (3, None, True)],
)
def test_a_ledger_that_no_run_has_covered_for_hours_is_an_alert(
    watched_h: float, covered_h: float | None, is_overdue: bool
) -> None:
    alert = overdue(seen(watched_h=watched_h, covered_h=covered_h), 3)
    assert (alert is not None) is is_overdue


def test_the_alert_says_when_one_did() -> None:
    alert = overdue(seen(watched_h=9, covered_h=4), 3)
    assert alert is not None
    assert (alert.kind, alert.severity) == (AlertKind.SWEEP_OVERDUE, Severity.CRITICAL)
    assert alert.summary == "No run has covered the ledger for 3 hours: drift goes unseen."
    assert dict(alert.facts) == {"Last run that did": "2026-01-01 23:04 UTC"}
    never = overdue(seen(watched_h=9, covered_h=None), 3)
    assert never is not None
    assert dict(never.facts) == {"Last run that did": "none yet"}
    assert never.state == alert.state
