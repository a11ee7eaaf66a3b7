"""--csv FILE: either the whole report is there or what was there before."""

from collections.abc import Iterable
from pathlib import Path

from shared.cli.output_file import OutputFile
from shared.core.errors import ReconcileError
from shared.core.outcome import ReconciliationResult


class ReportFailed(ReconcileError):
    """The run is over, but its report could not be written."""

    code = "report_failed"


class CsvFile:
    """A report's file. Making one checks that it can be written; raises InvalidInput if not."""

    def __init__(self, path: Path) -> None:
        self._file = OutputFile(path, "--csv")

    def write(self, results: Iterable[ReconciliationResult]) -> None:
        """Write the report beside the file, then put it in its place. Raises ReportFailed."""
        from shared.reports.csv_report import csv_lines

        # backslashreplace: a lone surrogate from the command line is no UTF-8.
        lines = (line.encode(errors="backslashreplace") for line in csv_lines(results))
        try:
            self._file.replace(lambda file: file.writelines(lines))
        except OSError as error:
            raise ReportFailed(
                f"the run is over, but its report {self._file.given} could not be written "
                f"({error.strerror})",
                remedy="What was corrected is in the ledger's audit log; 'reconcile runs show RUN "
                "--csv FILE' makes the report of a sweep again.",
            ) from error
