"""GET /: is the audit log as it was written? Every row's hash, every user's chain.

200 with what was found, faults included: `whole` says it in a word. While there is more than could
be looked at before the deadline, `complete` is false and `after` is where to go on: ask again with
`?after=…` and add up. `?until=<moment>` says what the digest is of, `?onlyWriter=true` that nobody
but the reconciler writes the ledger, so that a balance without an audit row is wrong too.

`POST /` with `{"onlyWriter": false}` is what a schedule calls, on Lambda by `handler`: it goes on
with the round that its last invocation left unfinished, or begins a new one, and answers what the
round has found so far. People are told (`audit_broken`) when something is wrong, at once, and when
a round that went through everything finds nothing any more. The audit log is only read.
"""

import logging
from datetime import datetime
from typing import Any

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.core.access import Permission
from shared.core.audit_alert import audit_sentence
from shared.core.audit_chain import AuditCursor, AuditVerification, decode_cursor
from shared.core.errors import InvalidInput
from shared.core.moment import parse_moment
from shared.http.actor import Actor, check_permission
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.json_body import parse_body
from shared.http.lambda_http import is_http, lambda_handler
from shared.http.problem import Problem
from shared.observe.context import gauge
from shared.observe.invocation import LambdaContext, lambda_left_s, lambda_request_id, observed
from shared.observe.metrics import Metric
from shared.settings import settings

_PARAMETERS = ("after", "until", "onlyWriter")

_log = logging.getLogger(__name__)


class VerifyAuditBody(BaseModel):
    """What the caller may say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    only_writer: bool = Field(alias="onlyWriter", default=False)


@http_function(methods=("GET", "POST"), permission=Permission.READ)
def verify_audit(request: Request, actor: Actor) -> Response:
    """Parse, verify, render."""
    if request.method == "GET":
        return json_response(_looked_at(request).as_json())
    check_permission(actor, Permission.WRITE)
    body = parse_body(request, VerifyAuditBody)
    return json_response(_watched(body.only_writer, settings().reconcile_deadline_s).as_json())


def _looked_at(request: Request) -> AuditVerification:
    from shared.bootstrap import services  # here, because importing the client takes a second
    from shared.services.deadline import before_deadline

    given = _given(request)
    after, only_writer = _after(given), _only_writer(given)
    until = _until(given)
    asked_for = services()
    found = asked_for.audit_verifier.verify(
        until=until,
        after=after,
        only_writer=only_writer,
        should_stop=before_deadline(asked_for.clock, settings().reconcile_deadline_s),
    )
    _note(found)
    return found


_by_http = lambda_handler(verify_audit)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The same on Lambda, called by API Gateway or by a schedule.

    Raises ReconcileError to the schedule when the log could not be read.
    """
    if is_http(event):
        return _by_http(event, context)
    with observed("verify_audit", lambda_request_id(context)):
        only_writer = event.get("onlyWriter") is True
        return _watched(only_writer, lambda_left_s(context)).as_json()


def _watched(only_writer: bool, left_s: float) -> AuditVerification:
    from shared.bootstrap import services
    from shared.services.deadline import before_deadline

    asked_for = services()
    found = asked_for.audit_rounds.go_on(
        only_writer=only_writer, should_stop=before_deadline(asked_for.clock, left_s)
    )
    _note(found)
    if not found.is_complete:
        _log.warning(
            "The round is unfinished after %d audit rows: the next invocation goes on with it",
            found.rows + found.adopted_rows,
        )
    return found


def _note(found: AuditVerification) -> None:
    gauge(Metric.AUDIT_FAULTS, found.faults)
    if not found.is_whole:
        _log.error("The audit log cannot be trusted: %s", audit_sentence(found))


def _given(request: Request) -> dict[str, str]:
    for name in request.args:
        if name not in _PARAMETERS or len(request.args.getlist(name)) > 1:
            raise _wrong(f"{name[:60]!r} is not a known parameter, or is there twice")
    given = request.args.to_dict()
    if "after" in given and "until" in given:
        raise _wrong("until does not go with after, which has its own")
    return given


def _after(given: dict[str, str]) -> AuditCursor | None:
    if "after" not in given:
        return None
    try:
        return decode_cursor(given["after"])
    except InvalidInput as error:
        raise Problem(400, error.code, str(error)) from error


def _until(given: dict[str, str]) -> datetime | None:
    if "until" not in given:
        return None
    try:
        return parse_moment(given["until"], field="until")
    except InvalidInput as error:
        raise Problem(400, error.code, str(error)) from error


def _only_writer(given: dict[str, str]) -> bool:
    text = given.get("onlyWriter", "false")
    if text not in ("true", "false"):
        raise _wrong(f"onlyWriter={text[:60]!r} is neither true nor false")
    return text == "true"


def _wrong(fault: str) -> Problem:
    return Problem(400, "invalid_input", f"{fault}. Known are {', '.join(_PARAMETERS)}.")
