"""What a valid command line asks for."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from shared.core.access import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileUser:
    """`reconcile --user`."""

    user: str
    dry_run: bool
    admin: str
    as_json: bool
    csv: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """`reconcile --all`. `accept_halt`: the reason to go on in spite of the safety stop."""

    dry_run: bool
    incremental: bool
    accept_halt: str | None
    admin: str
    as_json: bool
    csv: Path | None
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """`reconcile --all --resume`."""

    as_json: bool
    csv: Path | None
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """`reconcile apply`."""

    run_id: UUID
    accept_halt: str | None
    admin: str
    as_json: bool
    csv: Path | None
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRuns:
    """`reconcile runs`."""

    limit: int
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowRun:
    """`reconcile runs show`."""

    run_id: UUID
    as_json: bool
    csv: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """`reconcile runs cancel`."""

    run_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAlerts:
    """`reconcile alerts`. `all`: those that are over too."""

    all: bool
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAlerts:
    """`reconcile alerts test`."""

    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackAudit:
    """`reconcile rollback --audit`."""

    audit_id: str
    reason: str
    dry_run: bool
    admin: str
    as_json: bool
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackRun:
    """`reconcile rollback --run`."""

    run_id: UUID
    reason: str
    dry_run: bool
    admin: str
    as_json: bool
    yes: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldUser:
    """`reconcile hold`."""

    user: str
    reason: str
    admin: str
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseUser:
    """`reconcile release`."""

    user: str
    reason: str | None
    admin: str
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListHolds:
    """`reconcile holds`."""

    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """`reconcile keys new`."""

    name: str
    role: Role
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSolvency:
    """`reconcile solvency`."""

    admin: str
    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRun:
    """`reconcile report run`. `run_id` None: the newest run. `output` None: a name of ours."""

    run_id: UUID | None
    format: str
    output: Path | None
    admin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPeriod:
    """`reconcile report period`: since <= time < until. `until` None: now."""

    since: datetime
    until: datetime | None
    format: str
    output: Path | None
    admin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUser:
    """`reconcile report user`."""

    user: str
    format: str
    output: Path | None
    admin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAudit:
    """`reconcile verify-audit`. `user` None: everybody. `until`: what the digest is of."""

    user: str | None
    until: datetime | None
    only_writer: bool
    as_json: bool


Command = (
    ReconcileUser
    | Sweep
    | Resume
    | Apply
    | ListRuns
    | ShowRun
    | CancelRun
    | NewKey
    | RollBackAudit
    | RollBackRun
    | HoldUser
    | ReleaseUser
    | ListHolds
    | ListAlerts
    | TryAlerts
    | CheckSolvency
    | ReportRun
    | ReportPeriod
    | ReportUser
    | VerifyAudit
)
