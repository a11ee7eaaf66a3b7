"""Many runs: a table for people at a terminal, a line each for everyone else."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from shared.cli.render_plain import words
from shared.cli.tables import Column, first_that_fits, table
from shared.core.outcome import Outcome, iso_utc
from shared.core.run import Run

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_COLUMNS: tuple[Column, ...] = (
    ("Run", "left"),
    ("Started (UTC)", "left"),
    ("Mode", "left"),
    ("State", "left"),
    ("Differ", "right"),
    ("Corrected", "right"),
    ("Failed", "right"),
    ("Users", "right"),
    ("Kind", "left"),
    ("Duration", "right"),
)
_COLUMNS_MIN = 4
"""Which run, when, and what became of it; the others go from the right while there is no room."""

_STYLES = {"halted": "red", "failed": "red", "cancelled": "dim", "declined": "dim"}


def print_runs(runs: Sequence[Run], stream: TextIO) -> None:
    """The table with as many columns as the terminal is wide, or else lines."""
    from rich.console import Console

    console = Console(file=stream, highlight=False)
    counts = range(len(_COLUMNS), _COLUMNS_MIN - 1, -1)
    fitting = first_that_fits((_table(runs, count) for count in counts), console)
    if fitting:
        console.print(fitting)
    else:
        for run in runs:
            print(run_line(run), file=stream)


def run_line(run: Run) -> str:
    """One run in one line."""
    parts = [str(run.run_id), iso_utc(run.started_at), str(run.kind), _mode(run), str(run.state)]
    parts.append(f"users {run.users}")
    parts.append(f"discrepancies {run.candidates}")
    parts.append(f"corrected {run.count(Outcome.CORRECTED)}")
    parts.append(f"failed {run.count(Outcome.FAILED)}")
    if run.duration_s is not None:
        parts.append(f"{run.duration_s:.1f} s")
    return "  ".join(parts)


def _table(runs: Sequence[Run], columns: int) -> "Table":
    return table(_COLUMNS[:columns], (list(_cells(run))[:columns] for run in runs))


def _cells(run: Run) -> "Iterator[Text]":
    from rich.text import Text

    yield Text(str(run.run_id))
    yield Text(f"{run.started_at:%Y-%m-%d %H:%M}")
    yield Text(_mode(run))
    yield Text(words(run.state), style=_STYLES.get(run.state, ""))
    yield Text(f"{run.candidates:,}")
    yield Text(f"{run.count(Outcome.CORRECTED):,}")
    yield Text(f"{run.count(Outcome.FAILED):,}")
    yield Text(f"{run.users:,}")
    yield Text(str(run.kind))
    yield Text("—" if run.duration_s is None else f"{run.duration_s:.1f} s")


def _mode(run: Run) -> str:
    return "dry" if run.dry_run else "apply"
