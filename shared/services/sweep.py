"""A sweep is scan → review → correct, in this process, on the whole ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from shared.core.admin import check_admin_address
from shared.core.errors import SweepInterrupted
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.core.review import Halt, review
from shared.core.sweep_result import SweepResult, SweepSummary, count_outcomes
from shared.ports import Clock, Ledger
from shared.services.correct import Corrector
from shared.services.read_contract import ContractReader
from shared.services.results import failed, of_candidate
from shared.services.scan import Scan, Scanner, ShouldStop

_SETTLE_POLL_S = 0.5

Progress = Callable[[str, int, int | None], None]
"""(phase, users done, users in all or None); phase is `scan`, `settle` or `correct`."""


@dataclass(frozen=True, slots=True)
class SweepHooks:
    """How a caller takes part: watch, stop between batches, and allow the writes of a scan."""

    progress: Progress = lambda phase, done, total: None
    should_stop: ShouldStop = lambda: False
    may_write: Callable[[Scan], bool] = lambda scan: True
    """Asked once after the scan and its review, when there is something to correct."""


class Sweeper:
    """Finds drift in the whole ledger and, unless it is a dry run, corrects it."""

    def __init__(
        self, ledger: Ledger, contract: ContractReader, clock: Clock, policy: Policy
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._policy = policy
        self._scanner = Scanner(ledger, contract, policy)
        self._corrector = Corrector(ledger, contract, clock, policy)

    def sweep(
        self, admin_address: str, *, dry_run: bool, hooks: SweepHooks | None = None
    ) -> SweepResult:
        """One result for everyone who is not in sync, and a summary whose counts add up.

        A halted or declined run has written nothing: its candidates are `would_correct`.
        Raises ReconcileError when the users cannot be listed or asked about at all (nothing is
        written then either), InvalidAdmin for a bad `admin_address`.
        """
        admin = check_admin_address(admin_address)
        hooks = hooks or SweepHooks()
        started_at = self._clock.now()
        run_id = uuid4()
        scan = self._scan(hooks)
        scanned_s = self._clock.monotonic_s()
        halt = None if dry_run else review(scan.counts(), self._policy)
        if dry_run or halt or scan.interrupted or not self._allowed(scan, hooks):
            results = self._uncorrected(scan)
        else:
            self._settle(scan, scanned_s, hooks)
            results = self._corrected(scan, admin, run_id, hooks)
        return self._result(run_id, admin, dry_run, started_at, scan, halt, results)

    def _scan(self, hooks: SweepHooks) -> Scan:
        total = self._ledger.count_users()
        hooks.progress("scan", 0, total)
        return self._scanner.scan(
            lambda done: hooks.progress("scan", done, total), hooks.should_stop
        )

    def _allowed(self, scan: Scan, hooks: SweepHooks) -> bool:
        return not scan.candidates or hooks.may_write(scan)

    def _settle(self, scan: Scan, scanned_s: float, hooks: SweepHooks) -> None:
        """Wait until the youngest difference is `settle_s` old."""
        if not scan.candidates:
            return
        until = scanned_s + self._policy.settle_s
        while (left := until - self._clock.monotonic_s()) > 0 and not hooks.should_stop():
            hooks.progress(
                "settle", round(self._policy.settle_s - left), round(self._policy.settle_s)
            )
            self._clock.sleep(min(_SETTLE_POLL_S, left))

    def _corrected(
        self, scan: Scan, admin: str, run_id: UUID, hooks: SweepHooks
    ) -> list[ReconciliationResult]:
        total = len(scan.candidates)
        corrected = self._corrector.correct(
            scan.candidates,
            admin_address=admin,
            run_id=run_id,
            on_users=lambda done: hooks.progress("correct", done, total),
            should_stop=hooks.should_stop,
        )
        return [*self._failures(scan), *corrected]

    def _uncorrected(self, scan: Scan) -> list[ReconciliationResult]:
        now = self._clock.now()
        found = (of_candidate(each, Outcome.WOULD_CORRECT, now) for each in scan.candidates)
        return [*self._failures(scan), *found]

    def _failures(self, scan: Scan) -> list[ReconciliationResult]:
        now = self._clock.now()
        return [failed(failure, now) for failure in scan.failures]

    def _result(
        self,
        run_id: UUID,
        admin: str,
        dry_run: bool,
        started_at: datetime,
        scan: Scan,
        halt: Halt | None,
        results: list[ReconciliationResult],
    ) -> SweepResult:
        results.sort(key=lambda result: result.user_address)
        summary = SweepSummary(
            run_id=str(run_id),
            dry_run=dry_run,
            admin_address=admin,
            started_at=started_at,
            finished_at=self._clock.now(),
            users=scan.users,
            outcomes=count_outcomes(scan.in_sync, results),
            surplus=scan.surplus,
            deficit=scan.deficit,
            first_height=scan.first_height,
            last_height=scan.last_height,
            halt=halt,
            interrupted=scan.interrupted or _stopped_while_correcting(results),
        )
        return SweepResult(summary, tuple(results))


def _stopped_while_correcting(results: list[ReconciliationResult]) -> bool:
    return any(result.error_code == SweepInterrupted.code for result in results)
