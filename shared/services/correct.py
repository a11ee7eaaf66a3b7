"""Correct: confirm each candidate at a newer height, then write the confirmed ones as a set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from shared.core.compare import Candidate, Failure, LedgerPage, chain_addresses, compare
from shared.core.confirm import Confirmation, confirm
from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
    ReconcileError,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.ports.clock import Clock
from shared.ports.ledger import Correction, Ledger, Written
from shared.services.read_contract import ContractReader
from shared.services.results import failed, held, of_candidate

_OF_SINGLE_ROWS = (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
)
"""Errors that one row can cause for all that are written with it: split to find it."""


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What a newer reading said of scanned candidates, at which height."""

    confirmation: Confirmation
    block_height: int
    script_calls: int


class Corrector:
    """Carries out what a scan found. One result for each candidate."""

    def __init__(self, ledger: Ledger, contract: ContractReader, clock: Clock) -> None:
        self._ledger = ledger
        self._contract = contract
        self._clock = clock

    def look_again(self, candidates: Sequence[Candidate], policy: Policy) -> SecondLook:
        """Read both sides of these users at a newer height. Raises ReconcileError for all of them
        when a side cannot be asked."""
        if not candidates:
            return SecondLook(Confirmation(), 0, 0)
        page = self._page(candidates)
        height = self._contract.latest_height(
            at_least=max(candidate.block_height for candidate in candidates)
        )
        contract = self._contract.read(chain_addresses(page), height)
        found = confirm(candidates, page, compare(page, contract, policy.tolerance))
        return SecondLook(found, height, contract.script_calls)

    def write(
        self, look: SecondLook, *, admin_address: str, run_id: UUID
    ) -> list[ReconciliationResult]:
        """Correct whom the second look confirmed, compare-and-set; one result for each candidate.

        Raises ReconcileError when the ledger is down; some may have been corrected by then, and
        the same call under the same run id tells which.
        """
        found = look.confirmation
        return [
            *(self._failed(failure) for failure in found.failures),
            *(self._unwritten(each, Outcome.TRANSIENT) for each in found.transient),
            *(self._unwritten(each, Outcome.CHANGED_MEANWHILE) for each in found.changed_meanwhile),
            *(held(each, self._clock.now()) for each in found.held),
            *self._write(found.confirmed, look.block_height, admin_address, run_id),
        ]

    def _page(self, batch: Sequence[Candidate]) -> LedgerPage:
        page = self._ledger.get_balances([candidate.user_address for candidate in batch])
        missing = {each.user_address for each in batch if not each.row_exists}
        if not missing:
            return page
        absent = sorted(missing.difference(page.user_addresses))
        return replace(page, absent=absent)

    def _write(
        self, confirmed: Sequence[Candidate], height: int, admin_address: str, run_id: UUID
    ) -> Iterator[ReconciliationResult]:
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
        if outcome is Outcome.HELD:
            return held(candidate, self._clock.now())
        result = self._unwritten(candidate, outcome)
        return result.having(
            audit_id=written.audit_id, error=written.error, error_code=written.code
        )


def _correction(candidate: Candidate) -> Correction:
    return Correction(
        user_address=candidate.user_address,
        contract_balance=candidate.contract_balance,
        expected_balance=candidate.ledger_balance if candidate.row_exists else None,
    )


def _failure(candidate: Candidate, error: ReconcileError) -> Failure:
    return Failure(candidate.user_address, error, candidate.ledger_balance)
