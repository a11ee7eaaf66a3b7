"""The shapes of the answers, as models that a schema can be made of.

The functions render by hand, a line at a time; a test compares these models with what they render.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from shared.core.outcome import Outcome
from shared.core.run import RunKind, RunState

Amount = Annotated[
    str,
    StringConstraints(pattern=r"^-?[0-9]+\.[0-9]{8}$"),
    Field(description="FLOW, exact: never read it as a float.", examples=["12.50000001"]),
]
Count = Annotated[int, Field(ge=0)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")]


class Answer(BaseModel):
    """An object of an answer: every member is always there, what is not known is null."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Result(Answer):
    """What became of one user.

    `oldBalance` is the ledger's balance before, `newBalance` the contract's, `discrepancy` the
    second minus the first.
    """

    success: bool
    user_address: str
    outcome: Outcome
    old_balance: Amount | None
    new_balance: Amount | None
    discrepancy: Amount | None
    block_height: Count | None = Field(description="Where newBalance was read.")
    scan_height: Count | None = Field(description="Where a sweep found the discrepancy first.")
    audit_id: str | None
    timestamp: datetime
    error: str | None
    error_code: Code | None


class Outcomes(BaseModel):
    """How many users had which outcome."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    in_sync: Count
    corrected: Count
    would_correct: Count
    transient: Count
    changed_meanwhile: Count
    failed: Count


class PhaseChunks(Answer):
    """How many chunks are in which state."""

    pending: Count
    leased: Count
    done: Count
    failed: Count


class Chunks(Answer):
    """The chunks of both phases."""

    scan: PhaseChunks
    correct: PhaseChunks


class Halt(Answer):
    """Why the safety stop ended a run before it wrote anything."""

    reason: Code
    detail: str


class Run(Answer):
    """A bulk run: what it has found and done so far. The outcomes add up to `users`."""

    run_id: UUID
    kind: RunKind
    state: RunState
    dry_run: bool
    admin_address: str
    started_at: datetime
    scanned_at: datetime | None
    finished_at: datetime | None
    duration_s: Annotated[float, Field(ge=0)] | None
    users: Count
    outcomes: Outcomes
    coverage_percent: Annotated[float, Field(ge=0, le=100)]
    surplus: Amount
    deficit: Amount
    first_height: Count | None
    last_height: Count | None
    script_calls: Count
    chunks: Chunks
    complete: bool
    halt: Halt | None
    accepted_halt: str | None
    plan_run_id: UUID | None
    from_height: Count | None
    covered_height: Count | None
    fallback_reason: str | None
    error: str | None
    error_code: Code | None


class Tick(Answer):
    """A run as it stands after one call of `sweep`."""

    run: Run
    resumed: bool = Field(description="The run was there before; this call went on with it.")
    queued: Count = Field(description="Messages put into the queue by this call.")


class Report(Answer):
    """A dry run, and everyone who is not in sync or could not be read."""

    summary: Run
    results: list[Result]


class Message(Answer):
    """What became of a webhook's message."""

    events: Count
    ignored: Count = Field(description="Of types that say nothing of balances.")
    block_height: Count | None = Field(description="The greatest of the events that count.")
    users: Count
    queued: Count = Field(description="Messages put into the queue for these users.")
    results: list[Result] = Field(description="Of each user, unless they were queued.")


class FieldFault(Answer):
    """What is wrong with one field of a body."""

    field: str
    fault: str
    remedy: str


class Problem(BaseModel):
    """Problem details (RFC 9457). `code` is stable; `retryable` says if asking again may help."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["about:blank"]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    code: Code
    retryable: bool
    errors: list[FieldFault] = Field(default=[], description="Of code invalid_input.")
