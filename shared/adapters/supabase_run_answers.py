"""What the procedures of runs answer, as values of the core.

Whatever does not fit raises one of the errors that `supabase_rpc.reading` knows.
"""

from typing import Any
from uuid import UUID

from shared.adapters.supabase_rpc import amount, columns, moment, moment_or_none
from shared.core.amount import FlowAmount, parse_amount
from shared.core.compare import Candidate
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.core.review import Halt
from shared.core.run import (
    ChunkRef,
    Closed,
    Lease,
    Leased,
    Phase,
    PhaseTally,
    Requeued,
    Run,
    RunKind,
    RunState,
)


def run_of(answer: Any) -> Run:
    """Of reconciliation.run_json."""
    return Run(
        run_id=UUID(answer["run_id"]),
        kind=RunKind(answer["kind"]),
        state=RunState(answer["state"]),
        dry_run=answer["dry_run"],
        admin_address=answer["admin_address"],
        policy=Policy.from_json(answer["policy"]),
        started_at=moment(answer["started_at"]),
        scanned_at=moment_or_none(answer["scanned_at"]),
        settle_until=moment_or_none(answer["settle_until"]),
        finished_at=moment_or_none(answer["finished_at"]),
        users_planned=answer["users_planned"],
        users=answer["users"],
        outcomes={outcome: answer[outcome] for outcome in Outcome},
        unread=answer["unread"],
        funded=answer["funded"],
        funded_reading_zero=answer["funded_reading_zero"],
        surplus=parse_amount(answer["surplus"]),
        deficit=parse_amount(answer["deficit"]),
        first_height=answer["first_height"],
        last_height=answer["last_height"],
        script_calls=answer["script_calls"],
        scan=PhaseTally(**answer["scan"]),
        correct=PhaseTally(**answer["correct"]),
        candidates=answer["candidates"],
        halt=_halt(answer),
        accepted_halt=answer["accepted_halt"],
        plan_run_id=None if answer["plan_run_id"] is None else UUID(answer["plan_run_id"]),
        covered_height=answer["covered_height"],
        from_height=answer["from_height"],
        rotated_through=answer["rotated_through"],
        fallback_reason=answer["fallback_reason"],
        error=answer["error"],
        error_code=answer["error_code"],
    )


def leased_of(run_id: UUID, answer: Any) -> Leased:
    """Of lease_reconciliation_chunks."""
    rows = columns(
        answer,
        "phases",
        "chunk_nos",
        "tokens",
        "attempts",
        "users",
        "afters",
        "throughs",
        "user_addresses",
    )
    return Leased(
        state=RunState(answer["state"]),
        leases=tuple(
            Lease(
                ref=ChunkRef(run_id, Phase(phase), chunk_no),
                token=UUID(token),
                attempt=attempt,
                users=users,
                after=after,
                through=through,
                user_addresses=None if named is None else tuple(named),
            )
            for phase, chunk_no, token, attempt, users, after, through, named in rows
        ),
        wait_s=float(answer["wait_s"]),
    )


def closed_of(answer: Any) -> Closed:
    """Of the procedures that close a chunk."""
    return Closed(
        accepted=answer["accepted"],
        state=RunState(answer["state"]),
        open_chunks=answer["open_chunks"],
        outcomes=_outcomes(answer["outcomes"] or {}),
    )


def requeued_of(run_id: UUID, answer: Any) -> Requeued:
    """Of requeue_reconciliation_chunks."""
    return Requeued(
        state=RunState(answer["state"]),
        refs=tuple(
            ChunkRef(run_id, Phase(phase), chunk_no)
            for phase, chunk_no in columns(answer, "phases", "chunk_nos")
        ),
        wait_s=float(answer["wait_s"]),
        gave_up=answer["gave_up"],
        pending=answer["pending"],
        leased=answer["leased"],
        done=answer["done"],
        failed=answer["failed"],
        outcomes=_outcomes(answer["outcomes"]),
    )


def candidates_of(answer: Any) -> list[Candidate]:
    """Of list_reconciliation_candidates."""
    rows = columns(
        answer, "user_addresses", "ledger_balances", "contract_balances", "heights", "row_exists"
    )
    return [
        Candidate(key, parse_amount(ledger), parse_amount(contract), height, row_exists)
        for key, ledger, contract, height, row_exists in rows
    ]


def results_of(answer: Any) -> list[ReconciliationResult]:
    """Of list_reconciliation_results."""
    rows = columns(
        answer,
        "user_addresses",
        "outcomes",
        "ledger_balances",
        "contract_balances",
        "scan_heights",
        "decided_heights",
        "audit_ids",
        "error_codes",
        "errors",
        "decided_ats",
    )
    return [_result(*row) for row in rows]


def _result(
    user_address: str,
    outcome: str,
    ledger_balance: str | None,
    contract_balance: str | None,
    scan_height: int | None,
    decided_height: int | None,
    audit_id: str | None,
    error_code: str | None,
    error: str | None,
    decided_at: str,
) -> ReconciliationResult:
    old, new = amount(ledger_balance), amount(contract_balance)
    return ReconciliationResult(
        user_address=user_address,
        outcome=Outcome(outcome),
        timestamp=moment(decided_at),
        old_balance=old,
        new_balance=new,
        discrepancy=None if old is None or new is None else FlowAmount(new - old),
        block_height=scan_height if decided_height is None else decided_height,
        scan_height=scan_height,
        audit_id=audit_id,
        error=error,
        error_code=error_code,
    )


def _outcomes(answer: Any) -> dict[Outcome, int]:
    """Of those that somebody has."""
    return {Outcome(outcome): users for outcome, users in answer.items() if users}


def _halt(answer: Any) -> Halt | None:
    if answer["halt_reason"] is None:
        return None
    return Halt(answer["halt_reason"], answer["halt_explanation"], answer["halt_remedy"])
