"""What a person may do next with a run, as it stands."""

from dataclasses import dataclass

from shared.core.outcome import Outcome
from shared.core.run import Run, RunState

_APPLICABLE = frozenset({RunState.HALTED, RunState.DECLINED, RunState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoices:
    """Which of its buttons a run's page has."""

    go_on: bool = False
    cancel: bool = False
    approve: bool = False
    apply: bool = False
    roll_back: bool = False

    def __bool__(self) -> bool:
        return any((self.go_on, self.cancel, self.approve, self.apply, self.roll_back))


def choices_of(run: Run, *, works_in_line: bool) -> RunChoices:
    """`works_in_line`: there is no queue, so that a run moves while somebody works on it."""
    return RunChoices(
        go_on=run.is_active and works_in_line,
        cancel=run.is_active,
        approve=run.state is RunState.AWAITING_APPROVAL,
        apply=_has_plan(run),
        roll_back=not run.is_active and not run.dry_run and run.count(Outcome.CORRECTED) > 0,
    )


def _has_plan(run: Run) -> bool:
    """Did the run find what could be corrected, and has it not been?"""
    if run.scanned_at is None or not run.count(Outcome.WOULD_CORRECT):
        return False
    return run.state in _APPLICABLE or (run.state is RunState.FINISHED and run.dry_run)
