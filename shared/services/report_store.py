"""Keeping reports in a store: those of ended runs by themselves, others when they are too large
to be answered."""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from typing import IO, Protocol
from uuid import UUID, uuid4

from shared.core.errors import ReconcileError
from shared.core.report import Report, RunReport
from shared.core.run import Run
from shared.core.stored_report import StoredReport, StoredState, stored_path
from shared.ports.stored_reports import ReportFiles, StoredReports

LEASE_S = 300.0
LINK_S = 300
"""For how long a link is good: it is followed at once."""
KEPT_FORMATS = ("csv", "pdf")
_CHUNK_BYTES = 256 * 1024
_IN_MEMORY_BYTES_MAX = 4 * 1024 * 1024

_log = logging.getLogger(__name__)


Write = Callable[[Report, str, IO[bytes]], None]
"""Writes a report as a format of that name to a binary file."""


class MakesReports(Protocol):
    """What is needed of `Reports`."""

    def run(self, run_id: UUID, made_by: str) -> RunReport: ...


class ReportStore:
    """`content_types`: format → type, of all the formats that `write` knows."""

    def __init__(
        self,
        files: ReportFiles,
        records: StoredReports,
        reports: MakesReports,
        write: Write,
        content_types: Mapping[str, str],
    ) -> None:
        self._files = files
        self._records = records
        self._reports = reports
        self._write = write
        self._content_types = content_types

    def store_pending(self, limit: int = 10) -> int:
        """Store the reports of ended runs that are not stored yet; returns of how many.

        A failure is recorded, and ends it: the next call tries again. Raises LedgerError when not
        even that can be recorded.
        """
        for stored in range(limit):
            token = uuid4()
            run = self._records.lease(token, lease_s=LEASE_S)
            if run is None or not self._store(run, token):
                return stored
        return limit

    def stored(self, run_id: UUID) -> StoredReport | None:
        """How a run's report stands; None if it was never begun."""
        return self._records.get(run_id)

    def link_of_run(self, run_id: UUID, format_name: str, file_name: str) -> str | None:
        """A link to the stored report of a run; None if there is none. Raises ReportStoreError."""
        stored = self._records.get(run_id) if format_name in KEPT_FORMATS else None
        if stored is None or stored.state is not StoredState.STORED:
            return None
        path = f"{stored.path}.{format_name}"
        return self._files.link(path, file_name=file_name, expires_s=LINK_S)

    def publish(self, file: IO[bytes], report: Report, format_name: str) -> str:
        """Keep a report that was asked for, and return a link to it. Raises ReportStoreError."""
        sha256 = _sha256(file)
        path = f"requested/{report.made_at:%Y-%m-%d}/{sha256[:16]}/{report.name}.{format_name}"
        self._put(path, file, format_name, sha256)
        name = f"{report.name}.{format_name}"
        return self._files.link(path, file_name=name, expires_s=LINK_S)

    def _store(self, run: Run, token: UUID) -> bool:
        path = stored_path(run)
        try:
            report = self._reports.run(run.run_id, run.admin_address)
            sums = {name: self._written(report, f"{path}.{name}", name) for name in KEPT_FORMATS}
        except ReconcileError as error:
            _log.warning("The report of run %s is not stored: %s", run.run_id, error)
            self._records.fail(run.run_id, token, error)
            return False
        return self._records.finish(run.run_id, token, path=path, sha256=sums["csv"])

    def _written(self, report: Report, path: str, format_name: str) -> str:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES_MAX) as file:
            self._write(report, format_name, file)
            sha256 = _sha256(file)
            self._put(path, file, format_name, sha256)
        return sha256

    def _put(self, path: str, file: IO[bytes], format_name: str, sha256: str) -> None:
        content_type = self._content_types[format_name]
        self._files.put(path, file, content_type=content_type, sha256=sha256)


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
