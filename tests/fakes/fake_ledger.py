"""The ledger in memory, with the semantics of supabase/migrations 003-005 (docs/sql-api.md)."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from shared.core.amount import UFIX64_MAX, FlowAmount, format_amount
from shared.core.compare import LedgerPage
from shared.core.errors import (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerRefused,
)
from shared.core.hold import Hold
from shared.core.outcome import Outcome
from shared.ports.ledger import Correction, Written
from tests.fakes.faults import Faulty

ROWS_MAX = 50_000
_AMOUNT_LIMIT = 10**20  # units of 1e-8: the 10^12 FLOW that numeric(20,8) ends at
_OUTCOMES = {
    "changed_meanwhile": Outcome.CHANGED_MEANWHILE,
    "stale_height": Outcome.CHANGED_MEANWHILE,
    "user_held": Outcome.HELD,
}
_NEW_KEY = re.compile(r"(0x)?[0-9a-fA-F]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """`balance` in units of 1e-8; None is NULL, a str is a numeric that is no amount ('NaN')."""

    balance: FlowAmount | str | None
    reconciled_height: int | None = None
    event_height: int | None = None

    @property
    def fence(self) -> int:
        return max(self.reconciled_height or 0, self.event_height or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    id: str
    user_address: str
    operation_type: str
    amount: FlowAmount
    balance_before: FlowAmount
    balance_after: FlowAmount
    transaction_hash: str | None
    run_id: UUID | None
    block_height: int | None
    reason: str | None = None
    reverses_audit_id: str | None = None


@dataclass(frozen=True, slots=True)
class EventAnswer:
    """Of apply_balance_event."""

    applied: bool
    reason: str | None = None
    code: str | None = None


class FakeLedger(Faulty):
    """Implements the port `Ledger`. `constraint` is the app's own CHECK on (key, balance)."""

    def __init__(self, balances: Mapping[str, FlowAmount | int | str | None] | None = None):
        super().__init__()
        self.rows: dict[str, Row] = {}
        self.audit: list[AuditRow] = []
        self.holds: list[Hold] = []
        self.constraint: Callable[[str, FlowAmount], bool] = lambda key, balance: True
        self._events: dict[tuple[str, str], tuple[int, int]] = {}
        for key, balance in (balances or {}).items():
            self.put(key, balance)

    # -- what a test does to it ---------------------------------------------------------------

    def put(self, key: str, balance: FlowAmount | int | str | None) -> None:
        """Insert or change a row as an app's own writer would: neither fence nor audit."""
        stored = FlowAmount(balance) if isinstance(balance, int) else balance
        with self.lock:
            self.rows[key] = replace(self.rows.get(key, Row(None)), balance=stored)

    def hold_of(self, key: str) -> Hold | None:
        """The active hold of a user."""
        ours = (each for each in self.holds if each.user_address == key)
        return next((each for each in ours if each.released_at is None), None)

    def balance(self, key: str) -> FlowAmount | str | None:
        return self.rows[key].balance

    def balances(self) -> dict[str, FlowAmount | str | None]:
        return {key: row.balance for key, row in self.rows.items()}

    def keys_between(self, after: str | None, through: str | None) -> list[str]:
        """The keys with after < key <= through, in order; None is no bound."""
        return sorted(
            key
            for key in self.rows
            if (after is None or key > after) and (through is None or key <= through)
        )

    # -- the port -----------------------------------------------------------------------------

    def count_users(self) -> int:
        with self._call("count_users"):
            return len(self.rows)

    def list_balances(
        self, after: str | None, limit: int, through: str | None = None
    ) -> LedgerPage:
        with self._call("list_balances"):
            if not 1 <= limit <= ROWS_MAX:
                raise _invalid("p_limit")
            return self._page(self.keys_between(after, through)[:limit])

    def get_balances(self, user_addresses: Sequence[str]) -> LedgerPage:
        with self._call("get_balances", user_addresses):
            _require_batch(user_addresses)
            found = self._page(sorted(set(user_addresses) & self.rows.keys()))
            return replace(found, held=self._held(user_addresses))

    def correct_user(
        self, correction: Correction, *, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        with self._call("correct_user", [correction.user_address]):
            return self._correct_user(correction, block_height, admin_address, run_id)

    def correct_users(
        self,
        corrections: Sequence[Correction],
        *,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> list[Written]:
        keys = [each.user_address for each in corrections]
        with self._call("correct_users", keys):
            _require_batch(keys)
            if len(set(keys)) < len(keys):
                raise _invalid("p_user_addresses names an address twice")
            if block_height < 0:
                raise _invalid("p_block_height")
            if _admin_fault(admin_address):
                raise _invalid("p_admin_address")
            return [
                self._correct_one(each, block_height, admin_address, run_id) for each in corrections
            ]

    def apply_event(
        self, user_address: str, delta: int, block_height: int, event_id: str
    ) -> EventAnswer:
        """apply_balance_event: adds `delta` once, unless a correction contains it already."""
        with self._call("apply_event", [user_address]):
            row = self.rows.get(user_address)
            seen = self._events.get((user_address, event_id))
            if seen is not None:
                if seen != (delta, block_height):
                    return EventAnswer(False, code="event_conflict")
                return EventAnswer(False, "duplicate")
            if row is None and self._new_key_fault(user_address):
                return EventAnswer(False, code="invalid_address")
            if row and isinstance(row.balance, str):
                return EventAnswer(False, code="invalid_ledger_balance")
            row = row or Row(FlowAmount(0))
            if row.reconciled_height is not None and block_height <= row.reconciled_height:
                self._events[user_address, event_id] = (delta, block_height)
                return EventAnswer(False, "already_reconciled")
            before = row.balance if isinstance(row.balance, int) else FlowAmount(0)
            after = FlowAmount(before + delta)
            if abs(after) >= _AMOUNT_LIMIT:
                return EventAnswer(False, code="balance_out_of_range")
            self._check(user_address, after)
            self._events[user_address, event_id] = (delta, block_height)
            event_height = max(row.event_height or 0, block_height)
            self.rows[user_address] = replace(row, balance=after, event_height=event_height)
            self._log(user_address, "balance_event", before, after, None, None, block_height)
            return EventAnswer(True)

    # -- the procedures -----------------------------------------------------------------------

    def _correct_user(
        self, correction: Correction, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        key, contract_balance = correction.user_address, correction.contract_balance
        if not 0 <= contract_balance <= UFIX64_MAX:
            raise _refused("invalid_balance")
        if _admin_fault(admin_address):
            raise _refused("invalid_admin")
        if block_height < 0:
            raise _refused("invalid_height")
        row = self.rows.get(key)
        audit = self._audit_of(run_id, key)
        if audit is None:
            if row is None and self._new_key_fault(key):
                raise _refused("invalid_address")
            if row and isinstance(row.balance, str):
                raise _refused("invalid_ledger_balance")
            row = row or Row(FlowAmount(0))
            before = row.balance if isinstance(row.balance, int) else FlowAmount(0)
            if before != contract_balance and self.hold_of(key):
                raise _refused("user_held")
            if block_height < row.fence:
                raise _refused("stale_height")
            if correction.expected_balance not in (None, before):
                raise _refused("changed_meanwhile")
            audit = self._write(key, row, before, correction, block_height, admin_address, run_id)
        return Written(
            outcome=Outcome.CORRECTED if audit.amount else Outcome.IN_SYNC,
            old_balance=audit.balance_before,
            new_balance=audit.balance_after,
            audit_id=audit.id,
        )

    def _correct_one(
        self, correction: Correction, block_height: int, admin_address: str, run_id: UUID
    ) -> Written:
        key = correction.user_address
        row = self.rows.get(key)
        audit = self._audit_of(run_id, key)
        code = self._judge(correction, row, audit, block_height)
        if code:
            return Written(
                outcome=_OUTCOMES.get(code, Outcome.FAILED),
                old_balance=None,
                new_balance=None,
                code=code,
                error=f"refused ({code})",
            )
        row = row or Row(None)
        before = row.balance if isinstance(row.balance, int) else FlowAmount(0)
        if audit is None and before != correction.contract_balance:
            audit = self._write(key, row, before, correction, block_height, admin_address, run_id)
        if audit is None:
            return Written(outcome=Outcome.IN_SYNC, old_balance=before, new_balance=before)
        return Written(
            outcome=Outcome.CORRECTED if audit.amount else Outcome.IN_SYNC,
            old_balance=audit.balance_before,
            new_balance=audit.balance_after,
            audit_id=audit.id,
        )

    def _judge(
        self, correction: Correction, row: Row | None, audit: AuditRow | None, block_height: int
    ) -> str | None:
        stored, expected = row.balance if row else None, correction.expected_balance
        if not 0 <= correction.contract_balance <= UFIX64_MAX:
            return "invalid_balance"
        if audit:
            return None
        if row is None and expected is None and self._new_key_fault(correction.user_address):
            return "invalid_address"
        if isinstance(stored, str):
            return "invalid_ledger_balance"
        if (stored or 0) != correction.contract_balance and self.hold_of(correction.user_address):
            return "user_held"
        if row and block_height < row.fence:
            return "stale_height"
        if stored != expected:
            return "changed_meanwhile"
        return None

    def _write(
        self,
        key: str,
        row: Row,
        before: FlowAmount,
        correction: Correction,
        block_height: int,
        admin_address: str,
        run_id: UUID,
    ) -> AuditRow:
        after = correction.contract_balance
        self._check(key, after)
        height = max(row.reconciled_height or 0, block_height)
        self.rows[key] = replace(row, balance=after, reconciled_height=height)
        by = f"reconciliation_by_{admin_address}"
        return self._log(key, "reconciliation", before, after, by, run_id, block_height)

    def _log(
        self,
        key: str,
        operation_type: str,
        before: FlowAmount,
        after: FlowAmount,
        transaction_hash: str | None,
        run_id: UUID | None,
        block_height: int,
    ) -> AuditRow:
        row = AuditRow(
            id=str(len(self.audit) + 1),
            user_address=key,
            operation_type=operation_type,
            amount=FlowAmount(after - before),
            balance_before=before,
            balance_after=after,
            transaction_hash=transaction_hash,
            run_id=run_id,
            block_height=block_height,
        )
        self.audit.append(row)
        return row

    def _audit_of(self, run_id: UUID, key: str) -> AuditRow | None:
        ours = (row for row in self.audit if row.run_id == run_id and row.user_address == key)
        return next(ours, None)

    def _new_key_fault(self, key: str) -> bool:
        if not _NEW_KEY.fullmatch(key):
            return True
        digits = key[-16:]
        pairs = (digits, digits.lower(), digits.upper())
        usual = {prefix + text for text in pairs[1:] for prefix in ("", "0x")}
        return bool((usual - {key}) & self.rows.keys())

    def _check(self, key: str, balance: FlowAmount) -> None:
        if not self.constraint(key, balance):
            raise LedgerConstraintViolation("the app's CHECK (23514)", remedy="Look at it.")

    def _page(self, keys: Sequence[str]) -> LedgerPage:
        balances = [_text(self.rows[key].balance) for key in keys]
        return LedgerPage(keys, balances, held=self._held(keys))

    def _held(self, keys: Iterable[str]) -> frozenset[str]:
        return frozenset(key for key in keys if self.hold_of(key))

    def _begin(self) -> Callable[[], None]:
        before = dict(self.rows), list(self.audit), dict(self._events), list(self.holds)

        def roll_back() -> None:
            self.rows, self.audit, self._events, self.holds = before

        return roll_back


def _text(balance: FlowAmount | str | None) -> str | None:
    return format_amount(balance) if isinstance(balance, int) else balance


def _require_batch(keys: Sequence[str]) -> None:
    if len(keys) > ROWS_MAX:
        raise _invalid("too many elements")


def _admin_fault(admin_address: str) -> bool:
    return not admin_address.strip(" ") or len(admin_address) > 200


def _invalid(what: str) -> LedgerInvalidValue:
    return LedgerInvalidValue(f"the database refuses a value ({what})", remedy="Nothing changed.")


def _refused(code: str) -> LedgerRefused:
    return LedgerRefused(f"the ledger refused ({code})", remedy="Nothing was changed.", code=code)
