"""One user: read both sides, correct by procedure. An admin's act, audited even at zero."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.core.address import FlowAddress, parse_address, spellings
from shared.core.admin import check_admin_address
from shared.core.amount import ZERO, FlowAmount, parse_amount
from shared.core.errors import (
    AmbiguousAddress,
    InvalidInput,
    LedgerRefused,
    ReconcileError,
    UserHeld,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.ports.clock import Clock
from shared.ports.ledger import Correction, Ledger, Written
from shared.services.read_contract import ContractReader

RACES_MAX = 5
"""Times that a row may move between read and write before its user fails."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """Both sides of one user. `ledger_balance` None: no such row, or no amount in it."""

    key: str
    is_held: bool
    ledger_balance: FlowAmount | None
    contract_balance: FlowAmount
    block_height: int


class UserReconciler:
    """Reconciles single users. Errors come back as failed results; nothing is half-done."""

    def __init__(
        self, ledger: Ledger, contract: ContractReader, clock: Clock, policy: Policy
    ) -> None:
        self._ledger = ledger
        self._contract = contract
        self._clock = clock
        self._policy = policy

    def reconcile(
        self, user_address: str, admin_address: str, *, at_least: int = 0
    ) -> ReconciliationResult:
        """Correct the ledger to the contract's balance at a named height; creates a missing user.

        The height is the latest one, and not below `at_least`.
        Returns `corrected`, or `in_sync` when nothing differed (with an audit row all the same),
        `held` with the code user_held when an admin holds the user and the balances differ, or
        `failed` with an error code; never raises ReconcileError. An admin's act is exact: the
        tolerance, which says what a sweep leaves alone, does not hold it back.
        """
        return self._result(
            user_address, lambda: self._reconcile(user_address, admin_address, at_least)
        )

    def preview(self, user_address: str) -> ReconciliationResult:
        """What `reconcile` would do, without a write: `would_correct`, `in_sync`, `held` or
        `failed`."""
        return self._result(user_address, lambda: self._preview(user_address))

    def _result(
        self, user_address: str, work: Callable[[], ReconciliationResult]
    ) -> ReconciliationResult:
        try:
            return work()
        except ReconcileError as error:
            return ReconciliationResult(
                user_address=str(user_address),
                outcome=Outcome.FAILED,
                timestamp=self._clock.now(),
                error=str(error),
                error_code=error.code,
            )

    def _reconcile(
        self, user_address: str, admin_address: str, at_least: int
    ) -> ReconciliationResult:
        admin = check_admin_address(admin_address)
        run_id = uuid4()
        for _ in range(RACES_MAX):
            reading = self._read(user_address, at_least)
            try:
                written = self._write(reading, admin, run_id)
            except LedgerRefused as error:
                if error.code == UserHeld.code:
                    return self._held(reading)
                if not error.retryable:
                    raise
                refused = error  # the row moved between read and write: read both sides again
            else:
                return self._answer(reading, written.outcome, written)
        raise refused

    def _preview(self, user_address: str) -> ReconciliationResult:
        reading = self._read(user_address)
        discrepancy = reading.contract_balance - (reading.ledger_balance or 0)
        in_sync = abs(discrepancy) < self._policy.tolerance
        if reading.is_held and not in_sync:
            return self._held(reading)
        return self._answer(reading, Outcome.IN_SYNC if in_sync else Outcome.WOULD_CORRECT)

    def _read(self, user_address: str, at_least: int = 0) -> _Reading:
        address = parse_address(user_address)
        # Ledger first: every event it contains is then at or below the height read after it.
        key, is_held, ledger_balance = self._ledger_row(user_address, address)
        height = self._contract.latest_height(at_least=at_least)
        answer = self._contract.read([address], height)
        if address in answer.errors:
            raise answer.errors[address]
        return _Reading(key, is_held, ledger_balance, answer.balances[address], height)

    def _ledger_row(self, given: str, address: FlowAddress) -> tuple[str, bool, FlowAmount | None]:
        page = self._ledger.get_balances(spellings(given))
        rows = dict(page.rows())
        if not rows:
            return address, address in page.held, None
        if len(rows) > 1 and given not in rows:
            raise AmbiguousAddress(
                f"the ledger holds {address} {len(rows)} times, as {', '.join(sorted(rows))}",
                remedy="Name the one to reconcile as it is stored, and remove the other.",
            )
        key = given if given in rows else next(iter(rows))
        return key, key in page.held, _usable(rows[key])

    def _write(self, reading: _Reading, admin_address: str, run_id: UUID) -> Written:
        correction = Correction(
            user_address=reading.key,
            contract_balance=reading.contract_balance,
            expected_balance=reading.ledger_balance,
        )
        return self._ledger.correct_user(
            correction,
            block_height=reading.block_height,
            admin_address=admin_address,
            run_id=run_id,
        )

    def _held(self, reading: _Reading) -> ReconciliationResult:
        error = UserHeld(reading.key)
        return self._answer(reading, Outcome.HELD).having(error=str(error), error_code=error.code)

    def _answer(
        self, reading: _Reading, outcome: Outcome, written: Written | None = None
    ) -> ReconciliationResult:
        old = (written.old_balance if written else reading.ledger_balance) or ZERO
        return ReconciliationResult(
            user_address=reading.key,
            outcome=outcome,
            timestamp=self._clock.now(),
            old_balance=old,
            new_balance=reading.contract_balance,
            discrepancy=FlowAmount(reading.contract_balance - old),
            block_height=reading.block_height,
            audit_id=written.audit_id if written else None,
        )


def _usable(text: str | None) -> FlowAmount | None:
    """The stored balance, or None when it is NULL or no amount: then it is simply replaced."""
    try:
        return None if text is None else parse_amount(text)
    except InvalidInput:
        return None
