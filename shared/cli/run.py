"""Do what the command line asks: one user or everyone, then the report."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from shared.cli import exit_code
from shared.cli.arguments import Options
from shared.cli.csv_file import CsvFile
from shared.cli.interrupt import Interrupt
from shared.cli.output import print_error, print_lines, writing
from shared.cli.progress import ProgressBar
from shared.cli.question import Question, somebody_to_ask
from shared.cli.render_json import result_json, sweep_json
from shared.cli.render_plain import failure_lines, result_line, summary_lines, user_lines
from shared.cli.render_table import print_table
from shared.core.errors import ReconcileError, SweepHalted
from shared.core.outcome import ReconciliationResult
from shared.core.sweep_result import SweepResult, SweepSummary
from shared.services.sweep import SweepHooks


class Reconciling(Protocol):
    """What the command needs of `UserReconciler`."""

    def reconcile(self, user_address: str, admin_address: str) -> ReconciliationResult: ...
    def preview(self, user_address: str) -> ReconciliationResult: ...


class Sweeping(Protocol):
    """What the command needs of `Sweeper`."""

    def sweep(
        self, admin_address: str, *, dry_run: bool, hooks: SweepHooks | None = None
    ) -> SweepResult: ...


class Services(Protocol):
    """What the command runs on: `shared.bootstrap.Services`, or a test's fakes."""

    @property
    def user_reconciler(self) -> Reconciling: ...
    @property
    def sweeper(self) -> Sweeping: ...


def run(options: Options, services: Services | None = None) -> int:
    """Run to the end and return the exit code. Raises ReconcileError when nothing could be done."""
    csv = CsvFile(options.csv) if options.csv else None
    with Interrupt() as interrupt:
        services = services or _services()
        if options.user is not None:
            return _run_user(options.user, options, services, csv)
        return _run_sweep(options, services, csv, interrupt)


def _services() -> Services:
    from shared.bootstrap import services  # here, so that --help need not wait for the clients

    return services()


def _run_user(user: str, options: Options, services: Services, csv: CsvFile | None) -> int:
    reconciler = services.user_reconciler
    if options.dry_run:
        result = reconciler.preview(user)
    else:
        result = reconciler.reconcile(user, options.admin)
    unsaved = _save(csv, [result])
    with writing():
        if options.as_json:
            print_lines([result_json(result)])
        print_lines(user_lines(result), sys.stderr if options.as_json else sys.stdout)
    return _code(exit_code.of_user(result), unsaved, options)


def _run_sweep(
    options: Options, services: Services, csv: CsvFile | None, interrupt: Interrupt
) -> int:
    with ProgressBar() as bar:
        question = Question(interrupt, bar)
        hooks = SweepHooks(bar.update, interrupt.should_stop)
        if somebody_to_ask() and not options.yes:
            hooks = SweepHooks(bar.update, interrupt.should_stop, question.may_write)
        swept = services.sweeper.sweep(options.admin, dry_run=options.dry_run, hooks=hooks)
    unsaved = _save(csv, swept)
    with writing():
        _print_sweep(swept, as_json=options.as_json)
        if question.declined:
            print("Declined: nothing was written.", file=sys.stderr)
    code = exit_code.of_sweep(swept.summary)
    if question.declined and interrupt.requested:  # Ctrl-C was the answer
        code = exit_code.FAILED
    return _code(code, unsaved, options)


def _print_sweep(swept: SweepResult, *, as_json: bool) -> None:
    summary = swept.summary
    error = _error(summary)
    if as_json:
        print_lines(sweep_json(swept, error, summary))
        print_lines(summary_lines(summary), sys.stderr)
    elif sys.stdout.isatty():
        print_table(swept, sys.stdout)
        print_lines(_block(failure_lines(swept)))
        print_lines(summary_lines(summary))
    else:
        print_lines(_block(map(result_line, swept)))
        print_lines(summary_lines(summary))
    if error:
        print_error(error)


def _block(lines: Iterable[str]) -> Iterator[str]:
    """The lines and, if there are any, a blank one."""
    line = None
    for line in lines:
        yield line
    if line is not None:
        yield ""


def _error(summary: SweepSummary) -> ReconcileError | None:
    if summary.halt:
        return SweepHalted(
            f"halted, nothing was written: {summary.halt.explanation}", remedy=summary.halt.remedy
        )
    return summary.error


def _save(csv: CsvFile | None, results: Sequence[ReconciliationResult]) -> ReconcileError | None:
    """Before anything is printed, so that a closed pipe costs no report. Its error is for later."""
    try:
        if csv:
            csv.write(results)
    except ReconcileError as error:
        return error
    return None


def _code(code: int, unsaved: ReconcileError | None, options: Options) -> int:
    if unsaved is None:
        return code
    with writing():
        print_error(unsaved, as_json=options.as_json)
    return exit_code.FAILED
