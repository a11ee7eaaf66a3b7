"""Rollback: take back one correction, or all of a run. Users who are rolled back are held."""

from collections.abc import Callable
from uuid import UUID

from shared.core.address import check_key
from shared.core.admin import check_admin_address
from shared.core.errors import (
    InvalidInput,
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
)
from shared.core.hold import check_reason
from shared.core.rollback import Rollback, RollbackOutcome, RollbackPage, RunRollback
from shared.ports.clock import Clock
from shared.ports.rollback import Rollbacks
from shared.services.deadline import ShouldStop
from shared.services.retry import Backoff, with_retry

PAGE_CORRECTIONS = 10_000
"""Corrections of a run that are taken back in one transaction."""
AUDIT_ID_CHARS_MAX = 200

_OF_SINGLE_ROWS = (
    LedgerConstraintViolation,
    LedgerInvalidValue,
    LedgerLockTimeout,
    LedgerTimeout,
)
"""Errors that one row can cause for all that are written with it: smaller pages to find it."""

Progress = Callable[[RunRollback], None]


class Rollbacker:
    """Every call may be repeated: what is rolled back already stays as it is, and is told so."""

    def __init__(
        self,
        rollbacks: Rollbacks,
        clock: Clock,
        backoff: Backoff | None = None,
        *,
        page_corrections: int = PAGE_CORRECTIONS,
    ) -> None:
        self._rollbacks = rollbacks
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._page_corrections = page_corrections

    def audit(
        self, audit_id: str, admin_address: str, reason: str, *, dry_run: bool = False
    ) -> Rollback:
        """Take back the correction of this audit row, or say why not.

        Raises InvalidInput, InvalidAdmin, InvalidReason, LedgerError.
        """
        admin, why = check_admin_address(admin_address), check_reason(reason)
        given = check_audit_id(audit_id)
        return with_retry(
            lambda: self._rollbacks.roll_back([given], admin, why, dry_run=dry_run),
            self._clock,
            self._backoff,
        )[0]

    def run(
        self,
        run_id: UUID,
        admin_address: str,
        reason: str,
        *,
        dry_run: bool = False,
        after: str | None = None,
        progress: Progress = lambda so_far: None,
        should_stop: ShouldStop = lambda: False,
    ) -> RunRollback:
        """Take back what a run has corrected, page by page in key order, from the key `after` on.

        Stops between two pages when `should_stop` says so, after the first at the earliest; the
        answer then is not `complete`, and the same call again goes on: what is done is told as
        `already_rolled_back`. A row that the database refuses costs no other.
        Raises RunNotFound, RunNotApplicable while the run goes on, InvalidAddress, InvalidAdmin,
        InvalidReason, LedgerError; the pages before are done then.
        """
        admin, why = check_admin_address(admin_address), check_reason(reason)
        start = None if after is None else check_key(after)
        so_far = RunRollback(run_id=run_id, dry_run=dry_run, through=start)
        limit = self._page_corrections
        while True:
            page, limit = self._page(so_far, limit, admin, why, should_stop)
            so_far.take(page.rollbacks)
            so_far.complete = page.through is None
            so_far.through = page.through
            progress(so_far)
            if so_far.complete or should_stop():
                return so_far

    def _page(
        self, so_far: RunRollback, limit: int, admin: str, reason: str, should_stop: ShouldStop
    ) -> tuple[RollbackPage, int]:
        """The next page, and how many corrections the one after it should have."""
        try:
            page = self._asked(so_far, limit, admin, reason, dry_run=so_far.dry_run)
        except _OF_SINGLE_ROWS as error:
            if so_far.dry_run or should_stop():  # a dry run locks and writes nothing
                raise
            if limit > 1:
                return self._page(so_far, limit // 2, admin, reason, should_stop)
            return self._without(so_far, admin, reason, error.code), 1
        return page, min(self._page_corrections, 2 * limit)

    def _without(self, so_far: RunRollback, admin: str, reason: str, code: str) -> RollbackPage:
        """The one correction that the database refuses, as refused."""
        page = self._asked(so_far, 1, admin, reason, dry_run=True)
        return RollbackPage(
            rollbacks=tuple(_refused(each, code) for each in page.rollbacks), through=page.through
        )

    def _asked(
        self, so_far: RunRollback, limit: int, admin: str, reason: str, *, dry_run: bool
    ) -> RollbackPage:
        return with_retry(
            lambda: self._rollbacks.roll_back_run(
                so_far.run_id, so_far.through, limit, admin, reason, dry_run=dry_run
            ),
            self._clock,
            self._backoff,
            # One locked row stops them all: a smaller page asks again for the others.
            unless=(LedgerLockTimeout,) if limit > 1 else (),
        )


def check_audit_id(audit_id: str) -> str:
    """The id without the blanks around it. Raises InvalidInput when it can be none."""
    given = audit_id.strip() if isinstance(audit_id, str) else ""
    if not given or len(given) > AUDIT_ID_CHARS_MAX or not given.isprintable():
        raise InvalidInput(
            "the id of the audit row is blank, too long or not printable",
            remedy="Give it as the audit log or a report has it.",
        )
    return given


def _refused(rollback: Rollback, code: str) -> Rollback:
    return Rollback(
        audit_id=rollback.audit_id,
        outcome=RollbackOutcome.REFUSED,
        code=code,
        user_address=rollback.user_address,
        old_balance=rollback.old_balance,
        new_balance=rollback.new_balance,
    )
