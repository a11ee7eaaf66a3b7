"""The rows of the tables of runs in memory, and the run that they add up to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.core.amount import ZERO, FlowAmount
from shared.core.compare import Candidate, Failure
from shared.core.errors import UserHeld
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import ChunkRef, ChunkState, Phase, PhaseTally, Run, RunPlan

OPEN = (ChunkState.PENDING, ChunkState.LEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """`run` has everything but the counts."""

    run: Run
    plan: RunPlan
    planned_through: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """A chunk: whom it is about, who has it, and what closing it has counted."""

    ref: ChunkRef
    users: int
    after: str | None = None
    through: str | None = None
    user_addresses: tuple[str, ...] | None = None
    state: ChunkState = ChunkState.PENDING
    token: UUID | None = None
    lease_until: datetime | None = None
    attempts: int = 0
    queued_at: datetime | None = None
    error_code: str | None = None
    error: str | None = None
    users_seen: int = 0
    in_sync: int = 0
    candidates: int = 0
    corrected: int = 0
    transient: int = 0
    changed_meanwhile: int = 0
    held: int = 0
    failed: int = 0
    funded: int = 0
    funded_reading_zero: int = 0
    surplus: FlowAmount = ZERO
    deficit: FlowAmount = ZERO
    first_height: int | None = None
    last_height: int | None = None
    script_calls: int = 0

    @property
    def outcomes(self) -> dict[Outcome, int]:
        """Of those that somebody has; `would_correct` is not stored with a chunk."""
        counts = {each: getattr(self, str(each), 0) for each in Outcome}
        return {outcome: users for outcome, users in counts.items() if users}

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def expired(self, now: datetime) -> bool:
        """Is it leased by somebody who has had it for too long?"""
        lapsed = self.lease_until is not None and self.lease_until <= now
        return self.state is ChunkState.LEASED and lapsed

    def leasable(self, now: datetime) -> bool:
        return self.state is ChunkState.PENDING or self.expired(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """A user who is not in sync."""

    user_address: str
    outcome: Outcome
    decided_at: datetime
    row_exists: bool = True
    ledger_balance: FlowAmount | None = None
    contract_balance: FlowAmount | None = None
    scan_height: int | None = None
    decided_height: int | None = None
    audit_id: str | None = None
    error_code: str | None = None
    error: str | None = None
    correct_chunk_no: int | None = None

    @property
    def discrepancy(self) -> FlowAmount | None:
        if self.ledger_balance is None or self.contract_balance is None:
            return None
        return FlowAmount(self.contract_balance - self.ledger_balance)

    def candidate(self) -> Candidate:
        """As the scan found it."""
        assert self.ledger_balance is not None
        assert self.contract_balance is not None
        assert self.scan_height is not None
        return Candidate(
            self.user_address,
            self.ledger_balance,
            self.contract_balance,
            self.scan_height,
            self.row_exists,
        )

    def result(self) -> ReconciliationResult:
        """As callers see it."""
        height = self.scan_height if self.decided_height is None else self.decided_height
        return ReconciliationResult(
            user_address=self.user_address,
            outcome=self.outcome,
            timestamp=self.decided_at,
            old_balance=self.ledger_balance,
            new_balance=self.contract_balance,
            discrepancy=self.discrepancy,
            block_height=height,
            scan_height=self.scan_height,
            audit_id=self.audit_id,
            error=self.error,
            error_code=self.error_code,
        )


def of_candidate(candidate: Candidate, now: datetime) -> ResultRow:
    return ResultRow(
        user_address=candidate.user_address,
        outcome=Outcome.WOULD_CORRECT,
        decided_at=now,
        row_exists=candidate.row_exists,
        ledger_balance=candidate.ledger_balance,
        contract_balance=candidate.contract_balance,
        scan_height=candidate.block_height,
    )


def of_held(candidate: Candidate, now: datetime) -> ResultRow:
    error = UserHeld(candidate.user_address)
    return replace(
        of_candidate(candidate, now), outcome=Outcome.HELD, error_code=error.code, error=str(error)
    )


def of_failure(failure: Failure, now: datetime) -> ResultRow:
    return ResultRow(
        user_address=failure.user_address,
        outcome=Outcome.FAILED,
        decided_at=now,
        ledger_balance=failure.ledger_balance,
        error_code=failure.error.code,
        error=str(failure.error),
    )


def tally(chunks: Iterable[ChunkRow], phase: Phase) -> PhaseTally:
    states = [chunk.state for chunk in chunks if chunk.ref.phase is phase]
    return PhaseTally(**{str(state): states.count(state) for state in ChunkState})


def with_counts(run: Run, chunks: Sequence[ChunkRow]) -> Run:
    """The run, with what its chunks add up to."""
    scan = [chunk for chunk in chunks if chunk.ref.phase is Phase.SCAN]
    correct = [chunk for chunk in chunks if chunk.ref.phase is Phase.CORRECT]
    return replace(
        run,
        users=_sum(scan, "users_seen"),
        outcomes=_outcomes(scan, correct),
        unread=_sum(scan, "failed"),
        candidates=_sum(scan, "candidates"),
        funded=_sum(scan, "funded"),
        funded_reading_zero=_sum(scan, "funded_reading_zero"),
        surplus=FlowAmount(_sum(scan, "surplus")),
        deficit=FlowAmount(_sum(scan, "deficit")),
        first_height=min(_known(scan, "first_height"), default=None),
        last_height=max(_known(scan, "last_height"), default=None),
        script_calls=_sum(chunks, "script_calls"),
        scan=tally(chunks, Phase.SCAN),
        correct=tally(chunks, Phase.CORRECT),
    )


def _outcomes(scan: Sequence[ChunkRow], correct: Sequence[ChunkRow]) -> dict[Outcome, int]:
    decided = {
        Outcome.CORRECTED: _sum(correct, "corrected"),
        Outcome.TRANSIENT: _sum(correct, "transient"),
        Outcome.CHANGED_MEANWHILE: _sum(correct, "changed_meanwhile"),
        Outcome.HELD: _sum(correct, "held"),
        Outcome.FAILED: _sum(correct, "failed"),
    }
    would_correct = _sum(scan, "candidates") - sum(decided.values())
    decided[Outcome.FAILED] += _sum(scan, "failed")
    decided[Outcome.HELD] += _sum(scan, "held")
    return decided | {
        Outcome.IN_SYNC: _sum(scan, "in_sync"),
        Outcome.WOULD_CORRECT: would_correct,
    }


def _sum(chunks: Iterable[ChunkRow], column: str) -> int:
    return sum(getattr(chunk, column) for chunk in chunks)


def _known(chunks: Iterable[ChunkRow], column: str) -> list[Any]:
    return [value for chunk in chunks if (value := getattr(chunk, column)) is not None]
