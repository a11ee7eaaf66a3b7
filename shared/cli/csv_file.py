"""--csv FILE: either the whole report is there or what was there before."""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shared.core.errors import InvalidInput, ReconcileError
from shared.core.outcome import ReconciliationResult


class ReportFailed(ReconcileError):
    """The run is over, but its report could not be written."""

    code = "report_failed"


class CsvFile:
    """A report's file. Making one checks that it can be written; raises InvalidInput if not."""

    def __init__(self, path: Path) -> None:
        self._given = path
        self._path = path.resolve()  # a link stays a link
        # Replacing /dev/null by a file, say, would harm everyone else on the machine.
        if path.exists() and not path.is_file():
            raise self._refused("it is no regular file", "Give the name of a file.")
        if not self._path.parent.is_dir():
            raise self._refused(f"there is no folder {self._path.parent}", "Make the folder first.")
        try:
            tempfile.TemporaryFile(dir=self._path.parent).close()
        except OSError as error:
            raise self._refused(
                f"the folder cannot be written to ({error.strerror})",
                "Give a folder that you may write to.",
            ) from error

    def write(self, results: Iterable[ReconciliationResult]) -> None:
        """Write the report beside the file, then put it in its place. Raises ReportFailed."""
        from shared.reports.csv_report import csv_lines

        beside = self._path.with_name(f".{self._path.name[:100]}.{os.getpid()}.tmp")
        try:
            try:
                # backslashreplace: a lone surrogate from the command line is no UTF-8.
                with open(
                    beside, "w", encoding="utf-8", errors="backslashreplace", newline=""
                ) as file:
                    file.writelines(csv_lines(results))
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, self._path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise ReportFailed(
                f"the run is over, but its report {self._given} could not be written "
                f"({error.strerror})",
                remedy="What was corrected is in the ledger's audit log; 'reconcile runs show RUN "
                "--csv FILE' makes the report of a sweep again.",
            ) from error

    def _refused(self, fault: str, remedy: str) -> InvalidInput:
        return InvalidInput(
            f"--csv {self._given} cannot be written: {fault}", remedy=f"{remedy} Nothing was done."
        )
