"""A store of reports and the record of it, in memory."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import IO
from uuid import UUID

from shared.core.errors import ReconcileError, ReportStoreError
from shared.core.run import Run, RunState
from shared.core.stored_report import StoredReport, StoredState
from shared.ports.run_store import RunStore
from tests.fakes.fake_clock import FakeClock

_ENDED = (RunState.FINISHED, RunState.HALTED, RunState.FAILED, RunState.CANCELLED)


class FakeReportFiles:
    """Implements the port `ReportFiles`; refuses everything while `down`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.down = False

    def put(self, path: str, file: IO[bytes], *, content_type: str, sha256: str) -> None:
        self._check()
        file.seek(0)
        body = file.read()
        assert hashlib.sha256(body).hexdigest() == sha256
        self.files[path], self.types[path] = body, content_type

    def link(self, path: str, *, file_name: str, expires_s: int) -> str:
        self._check()
        return f"https://store.example/{path}?name={file_name}&expires={expires_s}"

    def _check(self) -> None:
        if self.down:
            raise ReportStoreError("the store is away", remedy="Try again.")


@dataclass(frozen=True, slots=True)
class _Row:
    report: StoredReport
    token: UUID
    next_at: datetime | None


class FakeStoredReports:
    """Implements the port `StoredReports` over a run store in memory."""

    def __init__(self, store: RunStore, clock: FakeClock) -> None:
        self._store = store
        self._clock = clock
        self._rows: dict[UUID, _Row] = {}

    def lease(self, token: UUID, *, lease_s: float) -> Run | None:
        runs = [
            run
            for run in self._store.list_runs(limit=1_000)
            if run.state in _ENDED and not run.dry_run
        ]
        runs.sort(key=lambda run: run.finished_at or run.started_at, reverse=True)
        never = [run for run in runs if run.run_id not in self._rows]
        due = [run for run in runs if run.run_id in self._rows and self._is_due(run.run_id)]
        due.sort(key=lambda run: self._rows[run.run_id].next_at or self._clock.now())
        for run in (*never, *due):
            before = self._rows.get(run.run_id)
            attempts = 1 if before is None else before.report.attempts + 1
            report = StoredReport(run_id=run.run_id, state=StoredState.STORING, attempts=attempts)
            if before is not None:
                report = replace(before.report, state=StoredState.STORING, attempts=attempts)
            until = self._clock.now() + timedelta(seconds=lease_s)
            self._rows[run.run_id] = _Row(report, token, until)
            return run
        return None

    def finish(self, run_id: UUID, token: UUID, *, path: str, sha256: str) -> bool:
        row = self._held(run_id, token, StoredState.STORING, StoredState.STORED)
        if row is None:
            return False
        report = StoredReport(
            run_id=run_id,
            state=StoredState.STORED,
            attempts=row.report.attempts,
            stored_at=row.report.stored_at or self._clock.now(),
            path=path,
            sha256=sha256,
        )
        self._rows[run_id] = _Row(report, token, None)
        return True

    def fail(self, run_id: UUID, token: UUID, error: ReconcileError) -> bool:
        row = self._held(run_id, token, StoredState.STORING, StoredState.FAILED)
        if row is None:
            return False
        report = replace(
            row.report, state=StoredState.FAILED, error_code=error.code, error=str(error)
        )
        wait_min = min(60, 2 ** min(row.report.attempts - 1, 10))
        next_at = self._clock.now() + timedelta(minutes=wait_min)
        self._rows[run_id] = _Row(report, token, next_at)
        return True

    def get(self, run_id: UUID) -> StoredReport | None:
        row = self._rows.get(run_id)
        return None if row is None else row.report

    def _is_due(self, run_id: UUID) -> bool:
        next_at = self._rows[run_id].next_at
        return next_at is not None and next_at <= self._clock.now()

    def _held(self, run_id: UUID, token: UUID, *states: StoredState) -> _Row | None:
        row = self._rows.get(run_id)
        return row if row and row.token == token and row.report.state in states else None
