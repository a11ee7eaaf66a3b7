"""Making reports: of a run, of a period, of a user."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from shared.core.address import normal_form, parse_address, spellings
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.audit_row import RECONCILER_OPERATIONS, AuditRow
from shared.core.errors import InvalidInput, RunNotFound, UserNotFound
from shared.core.outcome import ReconciliationResult
from shared.core.report import PeriodReport, RunReport, UserReport
from shared.core.run import Run
from shared.core.solvency import SolvencyCheck
from shared.core.sweep_result import SweepResult
from shared.ports.audit_reader import AuditReader
from shared.ports.clock import Clock
from shared.ports.ledger import Ledger
from shared.ports.run_search import RunSearch
from shared.services.spooled_rows import SpooledRows

PAGE_ROWS = 2_000
PAGE_RUNS = 200


class ShowsRuns(Protocol):
    """What is needed of `RunHistory`."""

    def list(self, limit: int) -> list[Run]: ...
    def show(self, run_id: UUID) -> SweepResult: ...


class PreviewsUsers(Protocol):
    """What is needed of `UserReconciler`."""

    def preview(self, user_address: str) -> ReconciliationResult: ...


class RemembersChecks(Protocol):
    """What is needed of the solvency checks."""

    def latest(self) -> SolvencyCheck | None: ...


class Reports:
    """Reads what a report tells. Every method may raise LedgerError.

    `made_by` is who asks for it. `checks` are asked for when a report needs the latest one.
    """

    def __init__(
        self,
        runs: ShowsRuns,
        ledger: Ledger,
        audit: AuditReader,
        search: RunSearch,
        users: Callable[[], PreviewsUsers],
        checks: Callable[[], RemembersChecks],
        clock: Clock,
    ) -> None:
        self._runs = runs
        self._ledger = ledger
        self._audit = audit
        self._search = search
        self._users = users
        self._checks = checks
        self._clock = clock

    def run(self, run_id: UUID | None, made_by: str = DEFAULT_ADMIN_ADDRESS) -> RunReport:
        """A run, or None for the newest, and everyone of it who was not in sync.

        Raises RunNotFound.
        """
        return self.swept(self._runs.show(run_id or self._newest()), made_by)

    def swept(self, found: SweepResult, made_by: str = DEFAULT_ADMIN_ADDRESS) -> RunReport:
        """The same of a run that was just made."""
        return RunReport(
            made_at=self._clock.now(),
            made_by=made_by,
            run=found.summary,
            rows=SpooledRows(found),
            solvency=self._checks().latest(),
            rolled_back=self._rolled_back(found.summary),
        )

    def period(
        self, since: datetime, until: datetime | None, made_by: str = DEFAULT_ADMIN_ADDRESS
    ) -> PeriodReport:
        """What was done in since <= time < until, both aware; None: until now.

        Raises InvalidInput.
        """
        since, until = since.astimezone(UTC), (until or self._clock.now()).astimezone(UTC)
        if since >= until:
            raise InvalidInput(
                "the period ends before it begins", remedy="Give an end that is after the start."
            )
        runs = tuple(self._runs_of(since, until))
        return PeriodReport(
            made_at=self._clock.now(),
            made_by=made_by,
            since=since,
            until=until,
            runs=runs,
            totals=tuple(self._audit.totals(since, until)),
            rows=SpooledRows(self._rows_of(since, until)),
            solvency=self._checks().latest(),
            rolled_back=self._rolled_back(runs[-1]) if runs else 0,
        )

    def user(self, user_address: str, made_by: str = DEFAULT_ADMIN_ADDRESS) -> UserReport:
        """A user by any spelling of the address: both balances now, and all audit rows.

        Raises InvalidAddress, UserNotFound for somebody whom neither ledger nor audit log knows.
        """
        standing = self._users().preview(user_address)
        key = self._key_of(user_address, standing)
        return UserReport(
            made_at=self._clock.now(),
            made_by=made_by,
            user_address=key,
            standing=standing,
            rows=SpooledRows(self._history_of(key)),
        )

    def _rolled_back(self, run: Run) -> int:
        return 0 if run.dry_run else self._search.count_rolled_back(run.run_id)

    def _newest(self) -> UUID:
        newest = self._runs.list(1)
        if not newest:
            raise RunNotFound("no run is stored yet", remedy="Sweep first: reconcile --all.")
        return newest[0].run_id

    def _key_of(self, given: str, standing: ReconciliationResult) -> str:
        """The key as it is stored: of the ledger, or else of the audit log."""
        is_address = normal_form(given) is not None
        keys = spellings(given) if is_address else (given,)
        rows = dict(self._ledger.get_balances(keys).rows())
        known = [key for key in keys if key in rows or self._audit.list_user(key, limit=1)]
        if known:
            return known[0]
        if is_address and standing.new_balance:
            return standing.user_address
        parse_address(given)
        raise UserNotFound(
            f"nothing is known of the user {given[:60]}",
            remedy="Check the address: neither the ledger nor its audit log has it.",
        )

    def _runs_of(self, since: datetime, until: datetime) -> Iterator[Run]:
        after: UUID | None = None
        while page := self._search.list_period_runs(since, until, after, PAGE_RUNS):
            yield from page
            if len(page) < PAGE_RUNS:
                return
            after = page[-1].run_id

    def _rows_of(self, since: datetime, until: datetime) -> Iterator[AuditRow]:
        after: str | None = None
        while page := self._audit.list_period(
            since, until, after, PAGE_ROWS, RECONCILER_OPERATIONS
        ):
            yield from page
            if len(page) < PAGE_ROWS:
                return
            after = page[-1].audit_id

    def _history_of(self, key: str) -> Iterator[AuditRow]:
        before: str | None = None
        while page := self._audit.list_user(key, before, PAGE_ROWS):
            yield from page
            if len(page) < PAGE_ROWS:
                return
            before = page[-1].audit_id
