"""A run and its chunks: the states they pass through, and what a run's counts are made of.

A run goes planning → scanning → (review) → correcting → finished. A dry run and a run without
candidates finish after the scan. The review may end in `halted`; a run that somebody has to allow
waits in `awaiting_approval`. `declined`, `cancelled` and `failed` have corrected nobody further.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from shared.core.amount import ZERO, FlowAmount, format_amount
from shared.core.outcome import Outcome, iso_utc
from shared.core.policy import Policy
from shared.core.review import Halt, ScanCounts


class RunKind(StrEnum):
    """Whom a run looks at."""

    FULL = "full"
    """Everyone in the ledger."""
    INCREMENTAL = "incremental"
    """The users whom the contract's events name, and a rotating part of the others."""
    PLAN = "plan"
    """The candidates that an earlier run found and did not correct."""


class RunState(StrEnum):
    PLANNING = "planning"
    SCANNING = "scanning"
    AWAITING_APPROVAL = "awaiting_approval"
    HALTED = "halted"
    CORRECTING = "correcting"
    FINISHED = "finished"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    FAILED = "failed"


ACTIVE = frozenset({RunState.PLANNING, RunState.SCANNING, RunState.CORRECTING})
"""States with work left for workers; one apply-run at a time may be in one of them."""

_UNRESOLVED = (Outcome.WOULD_CORRECT, Outcome.CHANGED_MEANWHILE)


ATTEMPTS_MAX = 5
"""Leases that a chunk gets before it is given up; the queue's maxReceiveCount is the same."""


class Phase(StrEnum):
    SCAN = "scan"
    CORRECT = "correct"


class ChunkState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """What names a chunk: the content of a queue's message."""

    run_id: UUID
    phase: Phase
    chunk_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run is started with.

    `covered_height`: a finished run has looked at every change up to this block. `from_height`:
    the first block whose events an incremental run read. `rotate_after`: the key after which its
    rotating part starts. `fallback_reason`: why a full run stands in for an incremental one.
    """

    run_id: UUID
    kind: RunKind = RunKind.FULL
    dry_run: bool
    admin_address: str
    policy: Policy
    needs_approval: bool = False
    accepted_halt: str | None = None
    plan_run_id: UUID | None = None
    covered_height: int | None = None
    from_height: int | None = None
    rotate_after: str | None = None
    fallback_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A chunk that this worker alone may close, until `lease_s` are over.

    A scan chunk is a range of keys (after < key <= through, None = open end) or, when
    `user_addresses` is given, exactly those users. `attempt` counts from 1.
    """

    ref: ChunkRef
    token: UUID
    attempt: int
    users: int
    after: str | None = None
    through: str | None = None
    user_addresses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leased:
    """The answer to a request for leases. Corrections may start only in `wait_s` seconds."""

    state: RunState
    leases: tuple[Lease, ...] = ()
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """The answer to closing a chunk.

    `accepted` False: the lease was lost, or the chunk closed before; nothing was changed.
    `open_chunks` of the same phase are neither done nor failed yet. `outcomes`: how many of the
    chunk's users are stored with which; nobody while it is open.
    """

    accepted: bool
    state: RunState
    open_chunks: int
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeued:
    """The answer of `requeue`: what to send to the queue, and how the chunks of the phase stand.

    `refs` were pending without a message, or their lease has expired; `gave_up` chunks have just
    been failed because they have had their attempts, with these `outcomes` of their users.
    """

    state: RunState
    refs: tuple[ChunkRef, ...]
    wait_s: float
    gave_up: int
    pending: int
    leased: int
    done: int
    failed: int
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)

    @property
    def open_chunks(self) -> int:
        """Chunks neither done nor failed."""
        return self.pending + self.leased


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTally:
    """How many chunks of a phase are in which state."""

    pending: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0

    def as_json(self) -> dict[str, int]:
        """State → number of chunks."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run as it is stored, and the summary of what it found and did.

    `users` have been looked at so far and `outcomes` adds up to them; candidates on which nothing
    is decided yet count as `would_correct`. `users_planned` is the number when it was planned,
    `unread` users could not be compared. Amounts in units of 1e-8 FLOW, found by the scan:
    `surplus` sums the positive discrepancies (contract above ledger), `deficit` the negative ones.
    Heights are the lowest and the highest that the scan's scripts ran at.
    """

    run_id: UUID
    kind: RunKind
    state: RunState
    dry_run: bool
    admin_address: str
    policy: Policy
    started_at: datetime
    scanned_at: datetime | None = None
    settle_until: datetime | None = None
    finished_at: datetime | None = None
    users_planned: int = 0
    users: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    unread: int = 0
    funded: int = 0
    funded_reading_zero: int = 0
    surplus: FlowAmount = ZERO
    deficit: FlowAmount = ZERO
    first_height: int | None = None
    last_height: int | None = None
    script_calls: int = 0
    scan: PhaseTally = field(default_factory=PhaseTally)
    correct: PhaseTally = field(default_factory=PhaseTally)
    candidates: int = 0
    halt: Halt | None = None
    accepted_halt: str | None = None
    plan_run_id: UUID | None = None
    covered_height: int | None = None
    from_height: int | None = None
    rotated_through: str | None = None
    fallback_reason: str | None = None
    error: str | None = None
    error_code: str | None = None

    @property
    def is_active(self) -> bool:
        """Is there work left for workers?"""
        return self.state in ACTIVE

    @property
    def complete(self) -> bool:
        """Did the run look at every user, and was it allowed to do what it was asked to?"""
        return self.state is RunState.FINISHED

    @property
    def duration_s(self) -> float | None:
        """Wall-clock seconds from start to end; None while it has not ended."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def count(self, *outcomes: Outcome) -> int:
        """How many users had one of these outcomes."""
        return sum(self.outcomes.get(outcome, 0) for outcome in outcomes)

    @property
    def unresolved(self) -> int:
        """Users whose two balances are known to differ still; not those whom an admin holds."""
        return self.count(*_UNRESOLVED)

    @property
    def decided(self) -> int:
        """Candidates of whom it is known what became of them."""
        return self.candidates - self.count(Outcome.WOULD_CORRECT)

    @property
    def coverage_percent(self) -> float:
        """Users whose two balances were read, in percent of those looked at; 100.0 for nobody.

        Rounded down to 4 places, so that 100.0 means that nobody is missing.
        """
        if not self.users:
            return 100.0
        return (self.users - self.unread) * 1_000_000 // self.users / 10_000

    def scan_counts(self) -> ScanCounts:
        """What the review judges; only whole once every scan chunk is closed."""
        in_sync = self.count(Outcome.IN_SYNC)
        return ScanCounts(
            # Nothing will be written of those who are held, so they are no part of the question.
            users=in_sync + self.candidates + self.unread,
            in_sync=in_sync,
            differing=self.candidates,
            unread=self.unread,
            funded=self.funded,
            funded_reading_zero=self.funded_reading_zero,
        )

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings, what is not known as null."""
        return {
            "runId": str(self.run_id),
            "kind": str(self.kind),
            "state": str(self.state),
            "dryRun": self.dry_run,
            "adminAddress": self.admin_address,
            "startedAt": iso_utc(self.started_at),
            "scannedAt": _iso(self.scanned_at),
            "finishedAt": _iso(self.finished_at),
            "durationS": None if self.duration_s is None else round(self.duration_s, 3),
            "users": self.users,
            "outcomes": {str(outcome): self.outcomes.get(outcome, 0) for outcome in Outcome},
            "coveragePercent": self.coverage_percent,
            "surplus": format_amount(self.surplus),
            "deficit": format_amount(self.deficit),
            "firstHeight": self.first_height,
            "lastHeight": self.last_height,
            "scriptCalls": self.script_calls,
            "chunks": {"scan": self.scan.as_json(), "correct": self.correct.as_json()},
            "complete": self.complete,
            "halt": None
            if self.halt is None
            else {"reason": self.halt.reason, "detail": str(self.halt)},
            "acceptedHalt": self.accepted_halt,
            "planRunId": None if self.plan_run_id is None else str(self.plan_run_id),
            "fromHeight": self.from_height,
            "coveredHeight": self.covered_height,
            "fallbackReason": self.fallback_reason,
            "error": self.error,
            "errorCode": self.error_code,
        }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else iso_utc(moment)
