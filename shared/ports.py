"""What the services need of the outside world. Adapters implement these; fakes do so in tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount
from shared.core.compare import Candidate, Failure, LedgerPage
from shared.core.errors import ReconcileError
from shared.core.keyed_request import Begun, KeyedRequest
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.queue_message import Message
from shared.core.review import Halt
from shared.core.run import (
    ChunkRef,
    Closed,
    Lease,
    Leased,
    Requeued,
    Run,
    RunPlan,
    RunState,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One row of a set-based write. `expected_balance` None = no such row existed when read."""

    user_address: str
    contract_balance: FlowAmount
    expected_balance: FlowAmount | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a procedure answered for one user; balances in units of 1e-8 FLOW."""

    outcome: Outcome
    old_balance: FlowAmount | None
    new_balance: FlowAmount | None
    audit_id: str | None = None
    code: str | None = None
    error: str | None = None


class Ledger(Protocol):
    """The mirror in Supabase. Every method may raise LedgerError.

    A write that raised changed nothing or, when only its answer was lost, is repeated safely
    under the same run id.
    """

    def count_users(self) -> int:
        """How many rows the ledger has."""

    def list_balances(
        self, after: str | None, limit: int, through: str | None = None
    ) -> LedgerPage:
        """The next `limit` rows in key order with after < key <= through (None: no bound).

        A page shorter than `limit` is the last of its range.
        """

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        """The rows that exist among these keys, matched exactly as stored, in any order."""

    def correct_user(
        self,
        correction: Correction,
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> Written:
        """Correct one user, with an audit row even when nothing differs.

        `expected_balance` None makes no condition. Raises LedgerRefused with the procedure's code.
        """

    def correct_users(
        self,
        corrections: Sequence[Correction],
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> list[Written]:
        """Correct many users in one transaction, compare-and-set; one answer each, in order."""


class Contract(Protocol):
    """The source of truth on chain. Every method may raise ContractError."""

    def latest_height(self) -> int:
        """The height of the latest sealed block."""

    def balances_at(self, addresses: Sequence[FlowAddress], block_height: int) -> list[FlowAmount]:
        """One script for all of these users at that height; one balance each, in order."""


class ContractEvents(Protocol):
    """What happened on chain. May raise ContractError."""

    def users_changed(self, from_height: int, to_height: int) -> set[FlowAddress]:
        """Whom the contract's events name in these blocks, both included, EVENT_BLOCKS_MAX at most.

        Raises ContractHeightUnavailable when the node has pruned or not yet seen one of them.
        """


EVENT_BLOCKS_MAX = 250
"""Blocks whose events the Access API gives in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFound:
    """What the scan of one chunk found: users = in_sync + candidates + failures."""

    users: int
    in_sync: int
    funded: int
    funded_reading_zero: int
    candidates: Sequence[Candidate]
    failures: Sequence[Failure]
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


class ChunkQueue(Protocol):
    """Messages that each name one chunk, or users. May raise QueueError."""

    def send(self, messages: Sequence[Message], delay_s: float = 0.0) -> None:
        """Queue a message for each; delivered after at least `delay_s`, 900 at most."""


class Idempotency(Protocol):
    """What was answered to whom under which key. Every method may raise LedgerError."""

    def begin(self, request: KeyedRequest, *, ttl_s: float, lease_s: float) -> Begun:
        """Ask whether to carry it out: NEW leases it for `lease_s`; the key lives for `ttl_s`."""

    def finish(self, request: KeyedRequest, *, status: int, body: str) -> bool:
        """Store the answer; False when another attempt has taken the request over."""

    def abandon(self, request: KeyedRequest) -> None:
        """Give back a request that has no answer to keep, so that it may be tried again."""


class RequestSlots(Protocol):
    """How often an actor may ask. May raise LedgerError."""

    def take(self, actor: str, per_min: int) -> float:
        """Take one of an actor's `per_min` requests; seconds to wait when none is left, else 0."""


class Pace(Protocol):
    """How fast the access node may be asked."""

    def wait(self) -> None:
        """Return when the next call may be made. May raise LedgerError if the budget is shared."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The current time, aware, in UTC."""

    def monotonic_s(self) -> float:
        """Seconds that only go forward."""

    def sleep(self, duration_s: float) -> None:
        """Wait."""
