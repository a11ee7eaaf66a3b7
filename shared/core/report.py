"""Reports: what is to be told of a run, of a period or of a user, whatever it is written as."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from shared.core.audit_row import AuditRow, AuditTotal
from shared.core.outcome import ReconciliationResult
from shared.core.run import Run
from shared.core.solvency import SolvencyCheck

RowT = TypeVar("RowT", covariant=True)

_UNSAFE = re.compile(r"[^0-9A-Za-z_-]+", re.ASCII)
_NAME_CHARS_MAX = 80


class Rows(Protocol[RowT]):
    """Rows that can be read again and again, the same ones each time."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[RowT]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run and everyone of it who was not in sync, in key order; the solvency check is the latest
    one, None when there is none. `rolled_back` of the run's corrections were taken back since."""

    made_at: datetime
    made_by: str
    run: Run
    rows: Rows[ReconciliationResult]
    solvency: SolvencyCheck | None = None
    rolled_back: int = 0

    kind = "run"

    @property
    def name(self) -> str:
        """What its files are called, without an ending."""
        return run_report_name(self.run.run_id)

    @property
    def title(self) -> str:
        return f"Reconciliation run {self.run.run_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodReport:
    """What the reconciler did in since <= time < until: the runs that started then, its audit rows
    in time order, and what all audit rows of the time add up to, the app's too. `rolled_back` of
    the last run's corrections were taken back since, in the period or after it."""

    made_at: datetime
    made_by: str
    since: datetime
    until: datetime
    runs: tuple[Run, ...]
    totals: tuple[AuditTotal, ...]
    rows: Rows[AuditRow]
    solvency: SolvencyCheck | None = None
    rolled_back: int = 0

    kind = "period"

    @property
    def name(self) -> str:
        """What its files are called, without an ending."""
        return f"period-{_moment_name(self.since)}-to-{_moment_name(self.until)}"

    @property
    def title(self) -> str:
        return f"Reconciliation from {_moment_title(self.since)} to {_moment_title(self.until)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UserReport:
    """A user: both balances now, and all audit rows, the newest first."""

    made_at: datetime
    made_by: str
    user_address: str
    standing: ReconciliationResult
    rows: Rows[AuditRow]

    kind = "user"

    @property
    def name(self) -> str:
        """What its files are called, without an ending."""
        return f"user-{_UNSAFE.sub('-', self.user_address)[:_NAME_CHARS_MAX]}"

    @property
    def title(self) -> str:
        return f"Balance history of {self.user_address}"


Report = RunReport | PeriodReport | UserReport


def run_report_name(run_id: UUID) -> str:
    """What the files of a run's report are called, without an ending."""
    return f"run-{run_id}"


def _moment_name(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}" if _is_midnight(moment) else f"{moment:%Y-%m-%dT%H%M%SZ}"


def _moment_title(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}" if _is_midnight(moment) else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
