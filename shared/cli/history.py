"""`reconcile runs`, `runs show` and `runs cancel`."""

import sys

from shared.cli import exit_code
from shared.cli.commands import CancelRun, ListRuns, ShowRun
from shared.cli.csv_file import CsvFile
from shared.cli.output import print_lines, writing
from shared.cli.render_json import run_json
from shared.cli.render_runs import print_runs, run_line
from shared.cli.render_summary import summary_lines
from shared.cli.report import print_swept, save, worst
from shared.cli.services import Remembering


def list_runs(command: ListRuns, history: Remembering) -> int:
    """The newest runs, a row or a line each."""
    runs = history.list(command.limit)
    with writing():
        if command.as_json:
            print_lines(map(run_json, runs))
        elif not runs:
            print("No run is stored yet.", file=sys.stderr)
        elif sys.stdout.isatty():
            print_runs(runs, sys.stdout)
        else:
            print_lines(map(run_line, runs))
    return exit_code.FINE


def show_run(command: ShowRun, history: Remembering, csv: CsvFile | None) -> int:
    """One run, whatever it has found."""
    shown = history.show(command.run_id)
    unsaved = save(csv, shown)
    code = exit_code.FINE
    with writing():
        if not print_swept(shown, None, as_json=command.as_json):
            code = exit_code.FAILED
    return worst(code, unsaved, as_json=command.as_json)


def cancel_run(command: CancelRun, history: Remembering) -> int:
    """End a run that is not finished, and print how it stands."""
    run = history.cancel(command.run_id)
    with writing():
        print_lines(summary_lines(run))
    return exit_code.FINE
