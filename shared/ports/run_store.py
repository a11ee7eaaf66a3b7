"""Runs, their chunks and results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from shared.core.compare import Candidate, Failure
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import ChunkRef, Closed, Lease, Leased, Requeued, Run, RunPlan, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFound:
    """What the scan of one chunk found: users = in_sync + candidates + held + failures."""

    users: int
    in_sync: int
    funded: int
    funded_reading_zero: int
    candidates: Sequence[Candidate]
    failures: Sequence[Failure]
    held: Sequence[Candidate] = ()
    first_height: int | None
    last_height: int | None
    script_calls: int


class RunStore(Protocol):
    """Runs, their chunks and results, kept where every worker sees them.

    Every method may raise LedgerError. All are safe to repeat when an answer was lost.
    """

    def start_run(self, plan: RunPlan) -> Run:
        """Store a new run in state `planning`; a run of kind `plan` gets its candidates at once.

        Raises RunActive when it would write and another such run is active, RunNotFound and
        RunNotApplicable for a `plan_run_id` that cannot be carried out.
        """

    def add_user_chunk(self, run_id: UUID, chunk_no: int, user_addresses: Sequence[str]) -> None:
        """Give a run that is being planned a scan chunk of exactly these users."""

    def plan_chunks(self, run_id: UUID, *, chunk_users: int, chunks_max: int | None) -> Run:
        """Cut the ledger into scan chunks of `chunk_users`, up to 5,000 chunks a call, and set the
        run to `scanning` once all of it is cut: until then, call again.

        With `chunks_max` at most so many chunks are made, from the plan's `rotate_after` on.
        """

    def lease_chunks(
        self,
        run_id: UUID,
        *,
        lease_s: float,
        limit: int = 1,
        attempts_max: int,
        ref: ChunkRef | None = None,
    ) -> Leased:
        """Lease pending chunks, or chunks whose lease has expired, of the phase the run is in.

        `ref` asks for that chunk alone; no lease means that it is done, leased by another, out of
        attempts, not of the run's present phase, or too early (`wait_s`).
        """

    def close_scan(self, lease: Lease, found: ScanFound) -> Closed:
        """Store a scanned chunk's counts, candidates and failures and close it, all or nothing."""

    def decide(self, run_id: UUID, halt: Halt | None) -> Run:
        """End the scan once all of its chunks are closed; before or after that, change nothing.

        The run becomes `finished` (dry run, or nothing to correct), `halted` (`halt` given and
        not accepted), `awaiting_approval` or `correcting`, which cuts the candidates into chunks.
        """

    def list_candidates(self, lease: Lease) -> list[Candidate]:
        """The candidates of a leased correction chunk on which nothing is decided yet."""

    def close_correction(
        self, lease: Lease, results: Sequence[ReconciliationResult], script_calls: int
    ) -> Closed:
        """Store the outcomes of a correction chunk's candidates and close it.

        A user whom this run has corrected is `corrected`, whatever `results` says. The last chunk
        finishes the run. Raises LedgerInvalidValue when a candidate of the chunk has no result.
        """

    def release(self, lease: Lease) -> None:
        """Hand a chunk back unworked; the attempt does not count."""

    def fail_attempt(self, lease: Lease, error: ReconcileError, *, attempts_max: int) -> Closed:
        """Hand a chunk back after an error. Out of attempts, the chunk is `failed` and so are all
        of its users that nothing was decided on."""

    def requeue(self, run_id: UUID, *, older_than_s: float, attempts_max: int) -> Requeued:
        """Mark chunks as sent that have no message, or whose message is older than that and
        nobody has the chunk, or whose lease has expired; fail those that are out of attempts."""

    def approve(self, run_id: UUID) -> Run:
        """From `awaiting_approval` to `correcting`. Raises RunActive, RunNotApplicable."""

    def end_run(self, run_id: UUID, state: RunState, error: ReconcileError | None = None) -> Run:
        """Set an unfinished run to `declined`, `cancelled` or `failed`.

        Raises RunNotApplicable when it has ended otherwise, RunNotFound.
        """

    def get_run(self, run_id: UUID) -> Run:
        """Raises RunNotFound."""

    def list_runs(self, *, before: UUID | None = None, limit: int = 50) -> list[Run]:
        """Runs, the newest first, that started before the run `before`."""

    def active_run(self) -> Run | None:
        """The run that writes and is not finished yet."""

    def covering_run(self) -> Run | None:
        """The finished, writing run with the greatest `covered_height`."""

    def list_results(
        self,
        run_id: UUID,
        *,
        after: str | None,
        limit: int,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        """Everyone of a run who is not in sync, by key, after the key `after`."""

    def count_results(self, run_id: UUID, outcomes: Sequence[Outcome] | None = None) -> int:
        """How many that are."""
