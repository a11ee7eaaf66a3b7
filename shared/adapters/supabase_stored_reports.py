"""Which reports are stored, in Supabase."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from supabase import Client

from shared.adapters.supabase_rpc import call, reading
from shared.adapters.supabase_run_answers import run_of
from shared.core.errors import ReconcileError
from shared.core.run import Run
from shared.core.stored_report import StoredReport, StoredState


class SupabaseStoredReports:
    """Implements the port `StoredReports` by the procedures of 019."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def lease(self, token: UUID, *, lease_s: float) -> Run | None:
        parameters = {"p_token": str(token), "p_lease_s": lease_s}
        answer = call(self._client, "lease_unstored_report", parameters)
        with reading("lease_unstored_report"):
            return None if answer is None else run_of(answer)

    def finish(self, run_id: UUID, token: UUID, *, path: str, sha256: str) -> bool:
        return self._accepted(
            "finish_stored_report", run_id, token, {"p_path": path, "p_sha256": sha256}
        )

    def fail(self, run_id: UUID, token: UUID, error: ReconcileError) -> bool:
        return self._accepted(
            "fail_stored_report", run_id, token, {"p_error_code": error.code, "p_error": str(error)}
        )

    def get(self, run_id: UUID) -> StoredReport | None:
        answer = call(self._client, "get_stored_report", {"p_run_id": str(run_id)})
        with reading("get_stored_report"):
            return None if answer is None else _stored(answer)

    def _accepted(self, procedure: str, run_id: UUID, token: UUID, more: dict[str, Any]) -> bool:
        parameters = {"p_run_id": str(run_id), "p_token": str(token), **more}
        answer = call(self._client, procedure, parameters)
        with reading(procedure):
            return bool(answer["accepted"])


def _stored(answer: Any) -> StoredReport:
    stored_at = answer["stored_at"]
    return StoredReport(
        run_id=UUID(answer["run_id"]),
        state=StoredState(answer["state"]),
        attempts=answer["attempts"],
        stored_at=None if stored_at is None else datetime.fromisoformat(stored_at).astimezone(UTC),
        path=answer["path"],
        sha256=answer["sha256"],
        error_code=answer["error_code"],
        error=answer["error"],
    )
