"""What a bulk pass found and did."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from shared.core.outcome import ReconciliationResult
from shared.core.run import Run


@dataclass(frozen=True, slots=True)
class SweepResult(Sequence[ReconciliationResult]):
    """The results of everyone who was not in sync, in key order, with the run as their summary.

    It is a sequence: iterate over it, index it, take its length. `results` may be read from where
    they are stored, so that iterating keeps none of them in memory; then reading them may raise
    LedgerError.
    """

    summary: Run
    results: Sequence[ReconciliationResult] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[ReconciliationResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, index: int) -> ReconciliationResult: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ReconciliationResult]: ...
    def __getitem__(
        self, index: int | slice
    ) -> ReconciliationResult | Sequence[ReconciliationResult]:
        return self.results[index]
