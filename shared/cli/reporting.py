"""`reconcile report`: a run, a period or a user as CSV, JSON or PDF."""

import sys
from pathlib import Path

from shared.cli import exit_code
from shared.cli.commands import ReportPeriod, ReportRun, ReportUser
from shared.cli.output import writing
from shared.cli.output_file import OutputFile
from shared.cli.printable import printable
from shared.cli.services import Reporting
from shared.core.errors import InvalidInput, ReconcileError
from shared.core.report import Report
from shared.core.verdict import verdict

MakeReport = ReportRun | ReportPeriod | ReportUser
STDOUT = Path("-")


class ReportUnwritten(ReconcileError):
    """The report is made, but its file could not be written."""

    code = "report_failed"


def make_report(command: MakeReport, reports: Reporting) -> int:
    """Make the report, write it, and say what it says. Exits 0 whatever that is."""
    to_stdout = command.output == STDOUT
    if to_stdout and command.format == "pdf" and sys.stdout.isatty():
        raise InvalidInput(
            "a PDF is not for a terminal", remedy="Give the name of a file with --output."
        )
    # A named file is checked before anything is read, a name of ours once it is known.
    named = None if to_stdout or command.output is None else _file(command.output)
    report = _made(command, reports)
    if to_stdout:
        _print(report, command.format)
        return exit_code.FINE
    file = named or _file(Path(f"{report.name}.{command.format}"))
    _write(report, command.format, file)
    with writing():
        answer = printable(verdict(report).text)
        print(f"{printable(str(file.given))}: {len(report.rows):,} rows. {answer}")
    return exit_code.FINE


def _made(command: MakeReport, reports: Reporting) -> Report:
    if isinstance(command, ReportPeriod):
        return reports.period(command.since, command.until, command.admin)
    if isinstance(command, ReportUser):
        return reports.user(command.user, command.admin)
    return reports.run(command.run_id, command.admin)


def _file(path: Path) -> OutputFile:
    return OutputFile(path, "--output")


def _print(report: Report, format_name: str) -> None:
    from shared.reports.formats import write_report

    with writing():
        sys.stdout.flush()
        write_report(report, format_name, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _write(report: Report, format_name: str, file: OutputFile) -> None:
    from shared.reports.formats import write_report

    try:
        file.replace(lambda opened: write_report(report, format_name, opened))
    except OSError as error:
        raise ReportUnwritten(
            f"the report {file.given} could not be written ({error.strerror})",
            remedy="Give another file with --output.",
        ) from error
