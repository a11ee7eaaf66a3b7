"""Is the ledger whole? Its sum against the escrow vault and the contract's own total.

`POST /` with `{}` makes a check and answers it; on Lambda the schedule calls `handler`. It writes
no balance; each check is stored, and a mismatch that lasts has an audit row and alerts. A check
that could not be made is an answer too, `state` is `unreadable` then. The check is the caller's;
with `adminAddress`, which only the role delegate may give, it is `<adminAddress> by <caller>`.

`GET /` → `{"checks": [...]}`, the newest first: `?limit=1`, to 1,000, and `?before=<checkId>`.
"""

import logging
import re
from typing import Any
from uuid import UUID

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.core.access import Permission
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.amount import UNITS_PER_FLOW
from shared.core.solvency import SolvencyCheck, SolvencyState
from shared.core.solvency_alert import solvency_sentence
from shared.http.actor import Actor, acting_admin, check_permission
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.json_body import parse_body
from shared.http.lambda_http import is_http, lambda_handler
from shared.http.problem import Problem
from shared.observe.context import gauge, note_error
from shared.observe.invocation import LambdaContext, lambda_left_s, lambda_request_id, observed
from shared.observe.metrics import Metric
from shared.settings import settings

LIMIT_MAX = 1_000

_CHECK_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)

_log = logging.getLogger(__name__)


class SolvencyBody(BaseModel):
    """What the caller may say."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    admin_address: str | None = Field(alias="adminAddress", default=None)


@http_function(methods=("GET", "POST"), permission=Permission.READ)
def solvency(request: Request, actor: Actor) -> Response:
    """Parse, check or list, render."""
    if request.method == "GET":
        return json_response({"checks": [each.as_json() for each in _stored(request)]})
    check_permission(actor, Permission.WRITE)
    body = parse_body(request, SolvencyBody)
    admin_address = acting_admin(actor, body.admin_address)
    return json_response(_checked(admin_address, settings().reconcile_deadline_s).as_json())


_by_http = lambda_handler(solvency)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The same on Lambda, called by API Gateway or by a schedule, whose input is not looked at.

    Raises ReconcileError to the schedule when the check could not be stored.
    """
    if is_http(event):
        return _by_http(event, context)
    with observed("solvency", lambda_request_id(context)):
        left_s = lambda_left_s(context)
        return _checked(DEFAULT_ADMIN_ADDRESS, left_s).as_json()


def _checked(admin_address: str, left_s: float) -> SolvencyCheck:
    from shared.bootstrap import services  # here, because importing both clients takes a second

    check = services().solvency.check(admin_address, left_s=left_s)
    _note(check)
    return check


def _note(check: SolvencyCheck) -> None:
    gauge(Metric.SOLVENCY_MISMATCH, int(check.confirmed))
    gauge(Metric.SOLVENCY_UNREADABLE, int(check.state is SolvencyState.UNREADABLE))
    if check.difference is not None and check.contract_difference is not None:
        gauge(Metric.VAULT_DIFFERENCE, check.difference / UNITS_PER_FLOW)
        gauge(Metric.CONTRACT_DIFFERENCE, check.contract_difference / UNITS_PER_FLOW)
    if check.confirmed:
        _log.error("Solvency check %s: %s", check.check_id, solvency_sentence(check))
    if check.error_code is not None:
        note_error(check.error_code)
        _log.error("Solvency check %s: %s", check.check_id, check.error)


def _stored(request: Request) -> list[SolvencyCheck]:
    from shared.bootstrap import services

    for name in request.args:
        if name not in ("limit", "before") or len(request.args.getlist(name)) > 1:
            raise _wrong(f"{name[:60]!r} is not a known parameter, or is there twice")
    return services().solvency.list(before=_before(request), limit=_limit(request))


def _limit(request: Request) -> int:
    text = request.args.get("limit", "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LIMIT_MAX):
        raise _wrong(f"The limit {text[:60]!r} is not a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def _before(request: Request) -> UUID | None:
    text = request.args.get("before")
    if text is not None and not _CHECK_ID.fullmatch(text):
        raise _wrong(f"before={text[:60]!r} is not a checkId")
    return None if text is None else UUID(text)


def _wrong(fault: str) -> Problem:
    return Problem(400, "invalid_input", f"{fault}. Known are limit and before.")
