"""From what was found about a user to the result that callers see."""

from datetime import datetime

from shared.core.compare import Candidate, Failure
from shared.core.errors import UserHeld
from shared.core.outcome import Outcome, ReconciliationResult


def of_candidate(candidate: Candidate, outcome: Outcome, now: datetime) -> ReconciliationResult:
    """A user whose two balances were read and differ."""
    return ReconciliationResult(
        user_address=candidate.user_address,
        outcome=outcome,
        timestamp=now,
        old_balance=candidate.ledger_balance,
        new_balance=candidate.contract_balance,
        discrepancy=candidate.discrepancy,
        block_height=candidate.block_height,
    )


def held(candidate: Candidate, now: datetime) -> ReconciliationResult:
    """A user who differs and is left alone because an admin holds them."""
    error = UserHeld(candidate.user_address)
    return of_candidate(candidate, Outcome.HELD, now).having(
        error=str(error), error_code=error.code
    )


def failed(failure: Failure, now: datetime) -> ReconciliationResult:
    """A user who could not be looked at or written."""
    return ReconciliationResult(
        user_address=failure.user_address,
        outcome=Outcome.FAILED,
        timestamp=now,
        old_balance=failure.ledger_balance,
        error=str(failure.error),
        error_code=failure.error.code,
    )
