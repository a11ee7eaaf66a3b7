"""Keeping reports: the files, and the record of them."""

from typing import IO, Protocol
from uuid import UUID

from shared.core.errors import ReconcileError
from shared.core.run import Run
from shared.core.stored_report import StoredReport


class ReportFiles(Protocol):
    """A store of files. Every method may raise ReportStoreError."""

    def put(self, path: str, file: IO[bytes], *, content_type: str, sha256: str) -> None:
        """Store a file from its start, in the place of one that is there. `sha256`: of all of it,
        as hex digits."""

    def link(self, path: str, *, file_name: str, expires_s: int) -> str:
        """An address where anybody may read the file for so long, as a download of that name."""


class StoredReports(Protocol):
    """Which runs' reports are stored, and whose turn it is. Every method may raise LedgerError."""

    def lease(self, token: UUID, *, lease_s: float) -> Run | None:
        """An ended run that writes and whose report is to be stored now; nobody else gets it for
        that long. None: there is no such run."""

    def finish(self, run_id: UUID, token: UUID, *, path: str, sha256: str) -> bool:
        """It is stored. False: the lease was lost, and nothing was changed."""

    def fail(self, run_id: UUID, token: UUID, error: ReconcileError) -> bool:
        """It could not be; it is handed out again, later after each attempt. False as `finish`."""

    def get(self, run_id: UUID) -> StoredReport | None:
        """How a run's report stands; None if it was never begun."""
