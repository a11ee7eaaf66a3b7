"""How far a run is, on stderr when that is a terminal."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_PHASES = {
    "scan": "Comparing users",
    "settle": "Waiting (s)",
    "wait": "Waiting for another worker",
    "correct": "Correcting users",
    "preview": "Looking at corrections",
    "rollback": "Rolling back",
    "verify": "Looking at audit rows",
}


class ProgressBar:
    """One bar for the phase that runs; gone when it ends. Silent when nobody can see it."""

    def __init__(self, *, visible: bool | None = None) -> None:
        self._visible = sys.stderr.isatty() if visible is None else visible
        self._phase: str | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def update(self, phase: str, done: int, total: int | None) -> None:
        """For `SweepHooks`."""
        if not self._visible:
            return
        if phase != self._phase or self._bar is None or self._task is None:
            self.pause()
            self._phase = phase
            self._bar = _bar()
            self._task = self._bar.add_task(_PHASES.get(phase, phase), total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    def pause(self) -> None:
        """Take the bar off the screen; the next update brings it back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
