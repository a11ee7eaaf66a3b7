"""The shapes of the answers, as models that a schema can be made of.

The functions render by hand, a line at a time; a test compares these models with what they render.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, RootModel, StringConstraints
from pydantic.alias_generators import to_camel

from shared.core.hold import HoldOutcome
from shared.core.outcome import Outcome
from shared.core.rollback import RollbackOutcome
from shared.core.run import RunKind, RunState
from shared.core.solvency import SolvencyState
from shared.core.verdict import VerdictState

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
    held: Count
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


class Rollback(Answer):
    """What became of one correction. `oldBalance` is what it wrote, `newBalance` what it had found;
    `amount` is what the rollback moves, the second minus the first."""

    audit_id: str
    outcome: RollbackOutcome
    user_address: str | None
    old_balance: Amount | None
    new_balance: Amount | None
    amount: Amount | None
    rollback_audit_id: str | None = Field(description="The audit row that takes it back.")
    error: str | None
    error_code: Code | None


class RollbackOutcomes(BaseModel):
    """How many corrections had which outcome."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rolled_back: Count
    would_roll_back: Count
    already_rolled_back: Count
    refused: Count


class RunRollback(Answer):
    """What became of a run's corrections, as far as this call has come."""

    run_id: UUID
    dry_run: bool
    complete: bool
    through: str | None = Field(description="What the next call goes on after.")
    corrections: Count
    outcomes: RollbackOutcomes
    amount: Amount = Field(description="The sum of what was, or would be, moved.")
    refused_codes: dict[str, Count]
    refused: list[Rollback] = Field(description="The first 100 that were refused.")


class RolledBack(RootModel[Rollback | RunRollback]):
    """With auditId the first, with runId the second."""


class Hold(Answer):
    """A user whom nothing is corrected of, from `heldAt` to `releasedAt`."""

    user_address: str
    held_at: datetime
    held_by: str
    reason: str
    audit_id: str | None = Field(description="The audit row of the rollback that held the user.")
    released_at: datetime | None
    released_by: str | None
    release_reason: str | None


class HoldChange(Answer):
    """What became of a request to hold or to release."""

    user_address: str = Field(description="As the ledger has it.")
    outcome: HoldOutcome
    hold: Hold | None = Field(description="The one that it is about; null: never held.")


class Holds(Answer):
    """Active holds, by address."""

    holds: list[Hold]
    next: str | None = Field(description="Go on with it as `after`; null: that was all.")


class Message(Answer):
    """What became of a webhook's message."""

    events: Count
    ignored: Count = Field(description="Of types that say nothing of balances.")
    block_height: Count | None = Field(description="The greatest of the events that count.")
    users: Count
    queued: Count = Field(description="Messages put into the queue for these users.")
    results: list[Result] = Field(description="Of each user, unless they were queued.")


class SolvencyCheck(Answer):
    """What the ledger says that users own, against the escrow vault and the contract.

    The amounts, counts and `blockHeight` are null when `state` is `unreadable`.
    """

    check_id: UUID
    checked_at: datetime
    admin_address: str
    state: SolvencyState
    confirmed: bool = Field(description="A mismatch that was still there when looked at again.")
    since: datetime = Field(description="The first check of this state in a row.")
    block_height: Count | None = Field(description="Where vault and contract were read.")
    ledger_total: Amount | None
    ledger_users: Count | None
    vault_balance: Amount | None
    contract_total: Amount | None
    difference: Amount | None = Field(description="vaultBalance − ledgerTotal.")
    contract_difference: Amount | None = Field(description="contractTotal − ledgerTotal.")
    tolerance: Amount
    negative_users: Count | None = Field(description="Below zero, and in the total as they are.")
    negative_total: Amount | None
    unusable_users: Count | None = Field(description="Not in the total: they hold no amount.")
    respelled_users: Count | None = Field(description="Rows beyond one for each account.")
    audit_id: str | None
    error_code: Code | None
    error: str | None


class SolvencyChecks(Answer):
    """The checks that are stored, the newest first."""

    checks: list[SolvencyCheck]


class AuditFault(Answer):
    """A row of the audit log that is not as it was written, or is gone."""

    audit_id: str | None = Field(description="Null: the row is not there.")
    user_address: str | None
    chain_no: int | None = Field(description="The row's place among its user's: 1, 2, …")
    code: Literal[
        "row_altered", "row_missing", "row_inserted", "head_altered", "adopted_rows_altered"
    ]
    detail: str


class AuditVerification(Answer):
    """What a look through the audit log has found."""

    whole: bool = Field(description="Is nothing wrong with what was looked at?")
    complete: bool = Field(description="Was everything looked at?")
    rows: Count
    users: Count
    adopted_rows: Count = Field(description="Rows from before the chain.")
    faults: Count
    first_faults: list[AuditFault] = Field(description="Up to 20 of them.")
    gaps: Count = Field(
        description="Rows that do not begin with the balance that the user's row before ended with."
    )
    unaudited: Count = Field(description="Users whose balance is not what their last row says.")
    first_unaudited: list[str]
    unanchored: Count = Field(description="Users of whom nothing says where their chain ended.")
    only_writer: bool
    until: datetime
    digest: Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")] | None = Field(
        description="Of every row written before `until`, empty if no row is that old; "
        "null until all were looked at."
    )
    after: str | None = Field(description="Where to go on; null when complete.")


class AuditRow(Answer):
    """A row of the audit log; amounts are null when the app has written what is none."""

    audit_id: str
    user_address: str
    operation_type: str
    amount: Amount | None = Field(description="balanceAfter − balanceBefore.")
    balance_before: Amount | None
    balance_after: Amount | None
    transaction_hash: str | None
    created_at: datetime | None
    run_id: UUID | None
    block_height: Count | None
    chain_no: Count | None = Field(description="1, 2, … of the user; null: older than the chain.")
    reason: str | None
    reverses_audit_id: str | None


class AuditTotal(Answer):
    """What the audit rows of one operation add up to."""

    operation_type: str
    rows: Count
    increase: Amount
    decrease: Amount
    net: Amount
    unsummed: Count = Field(description="Rows whose amount is none.")


class Verdict(Answer):
    """Are we whole? In one sentence."""

    state: VerdictState
    text: str


class _ReportHead(Answer):
    name: str
    made_at: datetime
    made_by: str
    verdict: Verdict
    csv_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] = Field(
        description="Of the same report as CSV, as sha256sum prints it of that file."
    )
    row_count: Count


class RunReport(_ReportHead):
    """A run, the latest solvency check, and everyone who was not in sync."""

    kind: Literal["run"]
    run: Run
    rolled_back: Count = Field(description="The run's corrections that were rolled back since.")
    solvency: SolvencyCheck | None
    rows: list[Result]


class PeriodReport(_ReportHead):
    """The runs that started in since <= time < until, the reconciler's audit rows of that time,
    and what all audit rows of it add up to."""

    kind: Literal["period"]
    since: datetime
    until: datetime
    runs: list[Run]
    rolled_back: Count = Field(
        description="The last run's corrections that were rolled back since."
    )
    totals: list[AuditTotal]
    solvency: SolvencyCheck | None
    rows: list[AuditRow]


class UserReport(_ReportHead):
    """A user's two balances now, and all audit rows, the newest first."""

    kind: Literal["user"]
    user_address: str
    standing: Result
    rows: list[AuditRow]


class AnyReport(RootModel[RunReport | PeriodReport | UserReport]):
    """What `kind` says."""


class Watched(Answer):
    """What one tick of the watchdog found and did."""

    announced: Count = Field(description="Ended runs that nobody had announced.")
    overdue: bool = Field(description="No run has covered the ledger for too long.")
    sent: Count = Field(description="Messages about alerts that went out.")
    failed: Count = Field(description="Messages that did not; they are tried again.")
    gave_up: Count = Field(description="Messages that did not, and are not tried again.")
    reports: Count = Field(description="Reports of ended runs that were stored.")
    open_alerts: Count = Field(description="Alerts that hold now.")


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
