"""`reconcile --all` and `reconcile apply`: watch, ask, report."""

import sys

from shared.cli import exit_code
from shared.cli.commands import Apply, Resume, Sweep
from shared.cli.csv_file import CsvFile
from shared.cli.interrupt import Interrupt
from shared.cli.output import writing
from shared.cli.progress import ProgressBar
from shared.cli.question import Question, somebody_to_ask
from shared.cli.report import print_swept, save, worst
from shared.cli.run_errors import active_error, error_of
from shared.cli.services import Sweeping
from shared.core.errors import RunActive
from shared.core.sweep_result import SweepResult
from shared.services.sweep import SweepHooks


def sweep(
    command: Sweep | Resume | Apply, sweeper: Sweeping, csv: CsvFile | None, interrupt: Interrupt
) -> int:
    """Run to the end, or to a stop, and print what became of everyone not in sync."""
    with ProgressBar() as bar:
        question = Question(interrupt, bar)
        hooks = SweepHooks(bar.update, interrupt.should_stop)
        if somebody_to_ask() and not command.yes:
            hooks = SweepHooks(bar.update, interrupt.should_stop, question.may_write)
        try:
            swept = _swept(command, sweeper, hooks)
        except RunActive as error:
            raise active_error(error) from error
    unsaved = save(csv, swept)
    code = exit_code.of_sweep(swept.summary, declined=question.declined)
    if question.declined and interrupt.requested:  # Ctrl-C was the answer
        code = exit_code.FAILED
    with writing():
        if not print_swept(swept, error_of(swept.summary), as_json=command.as_json):
            code = exit_code.FAILED
        if question.declined:
            print("Declined: nothing was written.", file=sys.stderr)
    return worst(code, unsaved, as_json=command.as_json)


def _swept(command: Sweep | Resume | Apply, sweeper: Sweeping, hooks: SweepHooks) -> SweepResult:
    if isinstance(command, Resume):
        return sweeper.resume(hooks=hooks)
    if isinstance(command, Apply):
        return sweeper.apply(
            command.run_id, command.admin, accept_halt=command.accept_halt, hooks=hooks
        )
    return sweeper.sweep(
        command.admin,
        dry_run=command.dry_run,
        incremental=command.incremental,
        accept_halt=command.accept_halt,
        hooks=hooks,
    )
