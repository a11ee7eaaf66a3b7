"""Freshness: has a run covered the ledger lately?"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.alert import Alert, AlertKind, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the watchdog judges by.

    `covered_at`: when the run ended that covers the contract's changes the furthest, None if there
    is none. `watched_since`: when the watchdog was there first.
    """

    now: datetime
    watched_since: datetime
    covered_at: datetime | None


def overdue(freshness: Freshness, overdue_hours: float) -> Alert | None:
    """The alert when no run has covered the ledger for so long; None when one has."""
    since = freshness.covered_at or freshness.watched_since
    if freshness.now - since < timedelta(hours=overdue_hours):
        return None
    last = "none yet" if freshness.covered_at is None else f"{since:%Y-%m-%d %H:%M} UTC"
    return Alert(
        kind=AlertKind.SWEEP_OVERDUE,
        severity=Severity.CRITICAL,
        state="overdue",
        summary=f"No run has covered the ledger for {overdue_hours:g} hours: drift goes unseen.",
        remedy="See which state the newest run is in (`reconcile runs`) and what the log of sweep "
        "says; then check that its schedule is on, and that the access node and Supabase answer.",
        facts={"Last run that did": last},
    )
