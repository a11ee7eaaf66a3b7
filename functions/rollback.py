"""POST /: take corrections back: one by its audit row, or all of a run. Who is rolled back is held.

`{"auditId": "17", "reason": "…"}` → 200 with what became of it; a correction that cannot be taken
back is a problem, and nothing is changed. `{"runId": "…", "reason": "…"}` → 200 with the counts or,
when the time was not enough, 202 with `complete` false: call again, with `after` set to `through`
and another Idempotency-Key if any. With `dryRun` nothing is written, and the answer says what would
happen. Calling again is safe: what is rolled back is `already_rolled_back` then.

The audit rows name the caller; with `adminAddress`, which only the role delegate may give,
`<adminAddress> by <caller>`.
"""

import re
from typing import Self
from uuid import UUID

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.core.access import Permission
from shared.core.rollback import Rollback
from shared.http.actor import Actor, acting_admin
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.idempotency import idempotent
from shared.http.json_body import parse_body
from shared.http.lambda_http import lambda_handler
from shared.http.problem import Problem
from shared.observe.context import note_run
from shared.settings import settings

_RUN_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class RollbackBody(BaseModel):
    """What the caller sends; auditId or runId. The reason is checked by the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    audit_id: str | None = Field(alias="auditId", default=None)
    run_id: str | None = Field(alias="runId", default=None)
    after: str | None = None
    reason: str
    dry_run: bool = Field(alias="dryRun", default=False)
    admin_address: str | None = Field(alias="adminAddress", default=None)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.audit_id is None) == (self.run_id is None):
            raise ValueError("give either auditId or runId")
        if self.run_id is None and self.after is not None:
            raise ValueError("after goes with runId")
        if self.run_id is not None and not _RUN_ID.fullmatch(self.run_id):
            raise ValueError("runId is no run's id")
        return self


@http_function(methods=("POST",), permission=Permission.WRITE)
@idempotent
def rollback(request: Request, actor: Actor) -> Response:
    """Parse, roll back, render."""
    body = parse_body(request, RollbackBody)
    admin_address = acting_admin(actor, body.admin_address)
    if body.run_id is not None:
        return _run(UUID(body.run_id), body, admin_address)
    return _correction(body.audit_id or "", body, admin_address)


def _correction(audit_id: str, body: RollbackBody, admin_address: str) -> Response:
    from shared.bootstrap import services  # here, because importing the client takes a while

    done = services().rollbacks.audit(audit_id, admin_address, body.reason, dry_run=body.dry_run)
    if done.code is not None:
        raise _refused(done, done.code)
    return json_response(done.as_json())


def _run(run_id: UUID, body: RollbackBody, admin_address: str) -> Response:
    from shared.bootstrap import services
    from shared.services.deadline import before_deadline

    asked_for = services()
    note_run(run_id)
    done = asked_for.rollbacks.run(
        run_id,
        admin_address,
        body.reason,
        dry_run=body.dry_run,
        after=body.after,
        should_stop=before_deadline(asked_for.clock, settings().reconcile_deadline_s),
    )
    response = json_response(done.as_json())
    if not done.complete:
        response.status_code = 202
    return response


def _refused(done: Rollback, code: str) -> Problem:
    return Problem(404 if code == "audit_not_found" else 409, code, done.error or code)


handler = lambda_handler(rollback)
