"""Finding runs by time, and users in a run."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run


class ResultOrder(StrEnum):
    """How a run's results are sorted."""

    ADDRESS = "address"
    DISCREPANCY = "discrepancy"
    """The largest first, whatever its sign; those that are not known last."""


class RunSearch(Protocol):
    """Runs and results, by pages. Every method may raise LedgerError and RunNotFound."""

    def list_period_runs(
        self, since: datetime, until: datetime, after: UUID | None = None, limit: int = 100
    ) -> list[Run]:
        """The runs with since <= started_at < until, the oldest first, after the run `after`."""

    def count_rolled_back(self, run_id: UUID) -> int:
        """How many of the run's corrections were rolled back since."""

    def find_results(
        self,
        run_id: UUID,
        *,
        search: str | None = None,
        order: ResultOrder = ResultOrder.ADDRESS,
        after: str | None = None,
        limit: int = 100,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        """Everyone of a run who is not in sync and whose address has `search` in it, in any case.

        `after` is the address of the last result of the page before. LedgerInvalidValue when, by
        discrepancy, the run has no such result.
        """
