"""Times as people give them: `2026-11-23`, `2026-11-23T14:30`, `2026-11-23T14:30:00+01:00`."""

from datetime import UTC, datetime

from shared.core.errors import InvalidInput


def parse_moment(text: str, *, field: str = "time") -> datetime:
    """A date is its first moment, and what names no time zone is UTC. Raises InvalidInput."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{field} {text[:40]!r} is no date or time",
            remedy="Write it as 2026-11-23 or 2026-11-23T14:30:00Z.",
        ) from error
