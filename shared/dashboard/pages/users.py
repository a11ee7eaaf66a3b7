"""One user: both balances now, the history, and what an admin may do."""

from contextlib import suppress
from uuid import UUID

from flask import Response

from shared.core.address import normal_form
from shared.core.audit_row import AuditRow
from shared.core.errors import RunNotFound
from shared.core.outcome import Outcome, ReconciliationResult
from shared.dashboard.routing import Routes
from shared.dashboard.texts import amount
from shared.dashboard.visit import Tone, Visit, quoted

routes = Routes()

PAGE_ROWS = 25


@routes.get("/users")
def search_page(visit: Visit) -> Response:
    """Find a user by address: `?address=`, in any spelling."""
    given = visit.args.get("address", "").strip()
    address = normal_form(given)
    if address is not None:
        return visit.redirect(user_path(address))
    return visit.page("users.html", status=422 if given else 200, given=given[:60])


@routes.get("/users/{address}")
def user_page(visit: Visit, address: str) -> Response:
    """Both sides are read now; the audit rows before `?before=`, the newest first."""
    services = visit.services
    view = services.users.find(address)
    before = visit.args.get("before") or None
    found = services.audit.list_user(view.key, before, PAGE_ROWS + 1)
    rows = found[:PAGE_ROWS]
    path = user_path(address)
    return visit.page(
        "user.html",
        user=view,
        hold=services.holds.active(view.key),
        rows=rows,
        rolled_back=_rolled_back(found),
        run_ids=_run_ids(visit, rows),
        is_correction=is_correction,
        path=path,
        next_url=visit.url(path, before=rows[-1].audit_id) if len(found) > PAGE_ROWS else None,
        first_url=before and visit.url(path),
    )


@routes.post("/users/{address}/reconcile")
def reconcile_now(visit: Visit, address: str) -> Response:
    """Set the ledger to the contract's balance, as `reconcile --user` does."""
    result = visit.services.user_reconciler.reconcile(address, visit.admin)
    tone: Tone = "good" if result.success else "bad"
    return visit.redirect(user_path(address), notice=_told(result), tone=tone)


def user_path(address: str) -> str:
    """Of a user's page."""
    return f"/users/{quoted(address)}"


def is_correction(row: AuditRow) -> bool:
    """Is it a row that a rollback may undo?"""
    return row.operation_type == "reconciliation" and bool(row.amount)


def _rolled_back(rows: list[AuditRow]) -> dict[str, str]:
    """Corrections that are undone → the row that did it. That one is newer, but it may be on an
    earlier page: the page of the rollback itself says so then."""
    return {row.reverses_audit_id: row.audit_id for row in rows if row.reverses_audit_id}


def _run_ids(visit: Visit, rows: list[AuditRow]) -> set[UUID]:
    """The runs that have a page: reconciling a single user stores none, but has an id as well."""
    found = set()
    for run_id in {row.run_id for row in rows if row.run_id is not None}:
        with suppress(RunNotFound):
            found.add(visit.services.runs.show(run_id).summary.run_id)
    return found


def _told(result: ReconciliationResult) -> str:
    if not result.success:
        return f"Nothing was changed. {result.error}"
    at = f"at block {result.block_height}, audit row {result.audit_id}"
    if result.outcome is Outcome.IN_SYNC:
        return f"Both sides held {amount(result.new_balance)} FLOW {at}."
    was, now = amount(result.old_balance), amount(result.new_balance)
    return f"Corrected from {was} to {now} FLOW {at}."
