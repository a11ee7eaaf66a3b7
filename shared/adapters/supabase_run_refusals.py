"""What the procedures of runs refuse, as errors of the core."""

from typing import Any
from uuid import UUID

from shared.adapters.supabase_rpc import reading
from shared.core.errors import ReconcileError, RunActive, RunNotApplicable, RunNotFound


def refusal_of(procedure: str, answer: Any, asked: str) -> ReconcileError | None:
    """The refusal that this answer is, or None; `asked` is the run that has to be there.

    Raises LedgerBadAnswer for a refusal that this version does not know.
    """
    if not isinstance(answer, dict) or "refused" not in answer:
        return None
    with reading(procedure):
        return _refusal(answer, asked)


def run_not_found(run_id: UUID) -> RunNotFound:
    """There is no run of this id."""
    return RunNotFound(f"there is no run {run_id}", remedy="Check its id against the list of runs.")


def _refusal(answer: dict[str, Any], asked: str) -> ReconcileError:
    code, run = answer["refused"], answer["run"]
    if code == "run_not_found":
        return run_not_found(UUID(asked))
    if code == "run_active":
        return RunActive(
            # It may have ended since the procedure was refused by it.
            "another run that writes is not finished yet"
            + (f": run {run['run_id']} is {run['state']}" if run else ""),
            remedy="Wait for it, or cancel it.",
        )
    if code == "run_not_applicable":
        return RunNotApplicable(
            f"run {run['run_id']} is {run['state']}{' (a dry run)' if run['dry_run'] else ''},"
            " which does not allow this",
            remedy="Look at the run, or start a new one.",
        )
    raise ValueError(code)
