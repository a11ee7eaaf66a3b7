"""How values are written on pages: amounts to the last unit, times in UTC."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from markupsafe import Markup

from shared.core.amount import UNITS_PER_FLOW, FlowAmount
from shared.core.outcome import iso_utc

NONE = "–"
_MINUS = "\N{MINUS SIGN}"


def amount(units: FlowAmount | int | None) -> str:
    """`1,234.50000000`: all 8 places, thousands apart."""
    if units is None:
        return NONE
    whole, fraction = divmod(abs(units), UNITS_PER_FLOW)
    return f"{_MINUS if units < 0 else ''}{whole:,}.{fraction:08d}"


def signed_amount(units: FlowAmount | int | None) -> str:
    """An amount that says whether it is too much or too little: `+5.00000000`."""
    return f"+{amount(units)}" if units is not None and units > 0 else amount(units)


def count(number: int | None) -> str:
    """A number of things."""
    return NONE if number is None else f"{number:,}"


def moment(at: datetime | None, zone: str = " UTC") -> str:
    """`2026-11-23 12:10:31 UTC` as an element that has the exact time as well."""
    if at is None:
        return NONE
    at = at.astimezone(UTC)
    return Markup('<time datetime="{iso}" title="{iso}">{text}{zone}</time>').format(
        iso=iso_utc(at), text=f"{at:%Y-%m-%d %H:%M:%S}", zone=zone
    )


def clock(at: datetime | None) -> str:
    """The same without its zone, for the cells of a column that names it."""
    return moment(at, zone="")


def day(at: datetime) -> str:
    """`23 Nov 12:10`, for the axis of a chart."""
    return f"{at.astimezone(UTC):%d %b %H:%M}"


def seconds(length_s: float | timedelta | None) -> str:
    """A length of time as people say it: `1.5 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if length_s is None:
        return NONE
    if isinstance(length_s, timedelta):
        length_s = length_s.total_seconds()
    if length_s < 60:
        return f"{length_s:.1f} s" if length_s < 10 else f"{length_s:.0f} s"
    minutes = int(length_s // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def words(name: object) -> str:
    """`would_correct` → `would correct`."""
    return str(name).replace("_", " ")


def short_id(run_id: UUID | str) -> str:
    """The beginning of a run's id, which is enough to tell runs apart."""
    return str(run_id)[:8]
