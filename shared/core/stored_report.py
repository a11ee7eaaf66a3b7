"""A run's report in a store outside of the database."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.core.run import Run


class StoredState(StrEnum):
    STORING = "storing"
    """Somebody is at it, or has died over it; then it is tried again."""
    STORED = "stored"
    FAILED = "failed"
    """The last attempt failed; it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport:
    """How a run's report stands. `path` is where it is in the store, without its ending; `sha256`
    is its CSV's."""

    run_id: UUID
    state: StoredState
    attempts: int
    stored_at: datetime | None = None
    path: str | None = None
    sha256: str | None = None
    error_code: str | None = None
    error: str | None = None


def stored_path(run: Run) -> str:
    """Where a run's report belongs: by the day on which the run ended."""
    return f"runs/{run.finished_at or run.started_at:%Y-%m-%d}/{run.run_id}"
