"""What a valid command line asks for."""

from dataclasses import dataclass
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
class NewKey:
    """`reconcile keys new`."""

    name: str
    role: Role
    as_json: bool


Command = ReconcileUser | Sweep | Resume | Apply | ListRuns | ShowRun | CancelRun | NewKey
