"""What a command tells at its end: the results, the counts, the file."""

import sys
from collections.abc import Iterable, Iterator

from shared.cli import exit_code
from shared.cli.csv_file import CsvFile
from shared.cli.output import print_error, print_lines, writing
from shared.cli.render_json import error_json, result_json, summary_json
from shared.cli.render_plain import failure_lines, result_line
from shared.cli.render_summary import summary_lines
from shared.cli.render_table import print_table
from shared.cli.run_errors import ResultsUnread
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.sweep_result import SweepResult


def print_swept(swept: SweepResult, error: ReconcileError | None, *, as_json: bool) -> bool:
    """Everyone not in sync, then the error if there is one, then the counts.

    Results are read while they are printed. If that fails the counts still come: what a run has
    done must be told. Then the answer is False.
    """
    unread = None
    try:
        _print_results(swept, as_json=as_json)
    except ReconcileError as caught:
        unread = ResultsUnread(swept.summary, caught)
    errors = [each for each in (unread, error) if each]
    if as_json:
        print_lines(map(error_json, errors))
        print_lines([summary_json(swept.summary)])
    print_lines(summary_lines(swept.summary), sys.stderr if as_json else sys.stdout)
    for each in errors:
        print_error(each)
    return unread is None


def _print_results(swept: SweepResult, *, as_json: bool) -> None:
    if as_json:
        print_lines(map(result_json, swept))
    elif sys.stdout.isatty():
        print_table(swept, sys.stdout)
        if swept.summary.count(Outcome.FAILED):
            print_lines(_block(failure_lines(swept)))
    else:
        print_lines(_block(map(result_line, swept)))


def save(csv: CsvFile | None, results: Iterable[ReconciliationResult]) -> ReconcileError | None:
    """Before anything is printed, so that a closed pipe costs no report. Its error is for later."""
    try:
        if csv:
            csv.write(results)
    except ReconcileError as error:
        return error
    return None


def worst(code: int, unsaved: ReconcileError | None, *, as_json: bool) -> int:
    """The exit code, once a report that could not be saved is told."""
    if unsaved is None:
        return code
    with writing():
        print_error(unsaved, as_json=as_json)
    return exit_code.FAILED


def _block(lines: Iterable[str]) -> Iterator[str]:
    """The lines and, if there are any, a blank one."""
    line = None
    for line in lines:
        yield line
    if line is not None:
        yield ""
