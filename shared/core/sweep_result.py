"""What a bulk pass found and did."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload

from shared.core.amount import FlowAmount, format_amount
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult, iso_utc
from shared.core.review import Halt

_UNRESOLVED = (Outcome.WOULD_CORRECT, Outcome.CHANGED_MEANWHILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSummary:
    """The counts of a run; those in `outcomes` add up to `users`.

    Amounts in units of 1e-8 FLOW: `surplus` sums the positive discrepancies found (contract above
    ledger), `deficit` the negative ones. Heights are those of the scan's first and last script.
    """

    run_id: str
    dry_run: bool
    admin_address: str
    started_at: datetime
    finished_at: datetime
    users: int
    outcomes: dict[Outcome, int]
    surplus: FlowAmount
    deficit: FlowAmount
    first_height: int | None
    last_height: int | None
    halt: Halt | None = None
    interrupted: bool = False
    error: ReconcileError | None = None

    @property
    def duration_s(self) -> float:
        """Wall-clock seconds from plan to end."""
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def complete(self) -> bool:
        """Did the run look at every user, and was it allowed to do what it was asked to?"""
        return not (self.halt or self.interrupted or self.error)

    def count(self, *outcomes: Outcome) -> int:
        """How many users had one of these outcomes."""
        return sum(self.outcomes.get(outcome, 0) for outcome in outcomes)

    @property
    def unresolved(self) -> int:
        """Users whose two balances are known to differ still."""
        return self.count(*_UNRESOLVED)

    def as_json(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, amounts as decimal strings."""
        return {
            "runId": self.run_id,
            "dryRun": self.dry_run,
            "adminAddress": self.admin_address,
            "startedAt": iso_utc(self.started_at),
            "finishedAt": iso_utc(self.finished_at),
            "durationS": round(self.duration_s, 3),
            "users": self.users,
            "outcomes": {str(outcome): self.outcomes.get(outcome, 0) for outcome in Outcome},
            "surplus": format_amount(self.surplus),
            "deficit": format_amount(self.deficit),
            "firstHeight": self.first_height,
            "lastHeight": self.last_height,
            "complete": self.complete,
            "halt": None
            if self.halt is None
            else {"reason": self.halt.reason, "detail": str(self.halt)},
            "interrupted": self.interrupted,
            "error": None if self.error is None else str(self.error),
            "errorCode": None if self.error is None else self.error.code,
        }


@dataclass(frozen=True, slots=True)
class SweepResult(Sequence[ReconciliationResult]):
    """The results of everyone who was not in sync, in key order, with the run's summary.

    It is a sequence: iterate over it, index it, take its length.
    """

    summary: SweepSummary
    results: tuple[ReconciliationResult, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.results)

    @overload
    def __getitem__(self, index: int) -> ReconciliationResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ReconciliationResult, ...]: ...
    def __getitem__(
        self, index: int | slice
    ) -> ReconciliationResult | tuple[ReconciliationResult, ...]:
        return self.results[index]


def count_outcomes(in_sync: int, results: Iterable[ReconciliationResult]) -> dict[Outcome, int]:
    """Outcome → number of users, `in_sync` counted in."""
    counts = Counter({Outcome.IN_SYNC: in_sync} if in_sync else {})
    counts.update(result.outcome for result in results)
    return dict(counts)
