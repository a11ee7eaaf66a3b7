"""Why a stored run did not do what it was asked to, as an error for people and programs."""

from shared.core.errors import ReconcileError, RunActive, SweepHalted
from shared.core.run import Run, RunState


class RunFailed(ReconcileError):
    """The run was given up; `code` is that of the error it was given up for."""

    def __init__(self, run: Run) -> None:
        super().__init__(
            f"the run failed: {run.error or 'no reason was kept'}",
            remedy="What it has corrected stays corrected; run it again for the rest.",
        )
        self.code = run.error_code or self.code


class ResultsUnread(ReconcileError):
    """The run is stored, but its results could not be read; `code` says why."""

    def __init__(self, run: Run, cause: ReconcileError) -> None:
        super().__init__(
            f"the results could not be read: {cause.fault}",
            remedy=f"{cause.remedy} Then: reconcile runs show {run.run_id}",
        )
        self.code = cause.code
        self.retryable = cause.retryable


def active_error(error: RunActive) -> RunActive:
    """The same with the commands that go on from there; the fault names the run."""
    return RunActive(
        error.fault,
        remedy="Wait for it, go on with it if nobody does (reconcile --all --resume), or end it "
        "(reconcile runs cancel RUN).",
    )


def error_of(run: Run) -> ReconcileError | None:
    """None for a run that finished, or ended as somebody wanted it to."""
    if run.state is RunState.FAILED:
        return RunFailed(run)
    if run.state is RunState.HALTED and run.halt:
        return SweepHalted(
            f"halted, nothing was written: {run.halt.explanation}",
            remedy=f"{run.halt.remedy} The command: {accept_command(run)}",
        )
    return None


def accept_command(run: Run) -> str:
    """How to go on in spite of the safety stop."""
    return f"reconcile apply {run.run_id} --accept-halt REASON"
