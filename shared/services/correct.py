"""Correct: confirm each candidate at a newer height, then write the confirmed ones set by set."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from shared.core.compare import Candidate, Failure, chain_addresses, compare
from shared.core.confirm import confirm
from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
    ReconcileError,
    SweepInterrupted,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.ports import Clock, Correction, Ledger, Written
from shared.services.read_contract import ContractReader
from shared.services.results import failed, of_candidate
from shared.services.scan import OnUsers, ShouldStop

_OF_SINGLE_ROWS = (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
)
"""Errors that one row can cause for all that are written with it: split to find it."""


class Corrector:
    """Carries out what a scan found. One result for each candidate, whatever happens."""

    def __init__(
        self, ledger: Ledger, contract: ContractReader, clock: Clock, policy: Policy
    ) -> None:
        self._ledger = ledger
        self._contract = contract
        self._clock = clock
        self._policy = policy

    def correct(
        self,
        candidates: Sequence[Candidate],
        *,
        admin_address: str,
        run_id: UUID,
        on_users: OnUsers,
        should_stop: ShouldStop,
    ) -> Iterator[ReconciliationResult]:
        """Yield the result of each candidate, batch by batch.

        An error that is not one of single users (a side is down) fails the candidates that are
        left; so does a stop between two batches. What was corrected before stays corrected.
        """
        done = 0
        size = self._policy.batch_size
        while done < len(candidates):
            batch = candidates[done : done + size]
            settled: set[str] = set()
            try:
                if should_stop():
                    raise _interrupted(len(candidates) - done)
                for result in self._correct_batch(batch, admin_address, run_id):
                    settled.add(result.user_address)
                    yield result
            except ReconcileError as error:
                for candidate in candidates[done:]:
                    if candidate.user_address not in settled:
                        yield self._failed(_failure(candidate, error))
                return
            done += len(batch)
            on_users(done)

    def _correct_batch(
        self, batch: Sequence[Candidate], admin_address: str, run_id: UUID
    ) -> Iterator[ReconciliationResult]:
        page = self._ledger.get_balances([candidate.user_address for candidate in batch])
        height = self._contract.latest_height(
            at_least=max(candidate.block_height for candidate in batch)
        )
        contract = self._contract.read(chain_addresses(page), height)
        found = confirm(batch, page, compare(page, contract, self._policy.tolerance))
        yield from (self._failed(failure) for failure in found.failures)
        yield from (self._unwritten(each, Outcome.TRANSIENT) for each in found.transient)
        yield from (
            self._unwritten(each, Outcome.CHANGED_MEANWHILE) for each in found.changed_meanwhile
        )
        yield from self._write(found.confirmed, height, admin_address, run_id)

    def _write(
        self, confirmed: Sequence[Candidate], height: int, admin_address: str, run_id: UUID
    ) -> Iterator[ReconciliationResult]:
        """Yields, so that what was written is told even when a later part of the batch raises."""
        if not confirmed:
            return
        try:
            written = self._ledger.correct_users(
                [_correction(candidate) for candidate in confirmed],
                block_height=height,
                admin_address=admin_address,
                run_id=run_id,
            )
        except _OF_SINGLE_ROWS as error:
            if len(confirmed) == 1:
                yield self._failed(_failure(confirmed[0], error))
                return
            middle = len(confirmed) // 2
            yield from self._write(confirmed[:middle], height, admin_address, run_id)
            yield from self._write(confirmed[middle:], height, admin_address, run_id)
            return
        for candidate, answer in zip(confirmed, written, strict=True):
            yield self._written(candidate, answer)

    def _unwritten(self, candidate: Candidate, outcome: Outcome) -> ReconciliationResult:
        return of_candidate(candidate, outcome, self._clock.now())

    def _failed(self, failure: Failure) -> ReconciliationResult:
        return failed(failure, self._clock.now())

    def _written(self, candidate: Candidate, written: Written) -> ReconciliationResult:
        outcome = written.outcome
        if outcome is Outcome.IN_SYNC:  # somebody else corrected it between our look and our write
            outcome = Outcome.TRANSIENT
        result = self._unwritten(candidate, outcome)
        return result.having(
            audit_id=written.audit_id, error=written.error, error_code=written.code
        )


def _correction(candidate: Candidate) -> Correction:
    return Correction(
        user_address=candidate.user_address,
        contract_balance=candidate.contract_balance,
        expected_balance=candidate.ledger_balance,
    )


def _failure(candidate: Candidate, error: ReconcileError) -> Failure:
    return Failure(candidate.user_address, error, candidate.ledger_balance)


def _interrupted(left: int) -> SweepInterrupted:
    return SweepInterrupted(
        f"the sweep was stopped with {left:,} users left to correct",
        remedy="Nothing was written for them; sweep again to correct them.",
    )
