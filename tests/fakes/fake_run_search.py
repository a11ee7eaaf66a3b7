"""Runs found by time and users found in a run, over a run store in memory."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.core.errors import LedgerInvalidValue
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.run import Run
from shared.ports.run_search import ResultOrder
from shared.ports.run_store import RunStore
from tests.fakes.fake_ledger import FakeLedger

ROWS_MAX = 50_000


class FakeRunSearch:
    """Implements the port `RunSearch`; `ledger` has the audit log that rollbacks are counted in."""

    def __init__(self, store: RunStore, ledger: FakeLedger | None = None) -> None:
        self._store = store
        self._ledger = ledger or FakeLedger()

    def list_period_runs(
        self, since: datetime, until: datetime, after: UUID | None = None, limit: int = 100
    ) -> list[Run]:
        if until <= since or not 1 <= limit <= 1_000:
            raise _invalid()
        runs = sorted(self._store.list_runs(limit=1_000), key=_in_time)
        last = None if after is None else _in_time(self._store.get_run(after))
        within = [run for run in runs if since <= run.started_at < until]
        return [run for run in within if last is None or _in_time(run) > last][:limit]

    def count_rolled_back(self, run_id: UUID) -> int:
        self._store.get_run(run_id)
        reversed_ids = {row.reverses_audit_id for row in self._ledger.audit}
        corrections = (row for row in self._ledger.audit if row.run_id == run_id)
        return sum(row.id in reversed_ids for row in corrections)

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
        if not 1 <= limit <= 10_000 or len(search or "") > 200:
            raise _invalid()
        self._store.get_run(run_id)
        every = self._store.list_results(run_id, after=None, limit=ROWS_MAX)
        places = {each.user_address: _place(each, order) for each in every}
        if after is not None and order is ResultOrder.DISCREPANCY and after not in places:
            raise _invalid()
        last = None if after is None else places.get(after, (0, after))
        found = [
            each
            for each in every
            if (search or "").lower() in each.user_address.lower()
            and (outcomes is None or each.outcome in outcomes)
            and (last is None or places[each.user_address] > last)
        ]
        return sorted(found, key=lambda each: places[each.user_address])[:limit]


def _in_time(run: Run) -> tuple[datetime, UUID]:
    return run.started_at, run.run_id


def _place(result: ReconciliationResult, order: ResultOrder) -> tuple[int, str]:
    if order is ResultOrder.ADDRESS:
        return 0, result.user_address
    size = -1 if result.discrepancy is None else abs(result.discrepancy)
    return -size, result.user_address


def _invalid() -> LedgerInvalidValue:
    return LedgerInvalidValue("a value is out of its range", remedy="Pass another value.")
