"""What the schedule calls: start a run over the ledger, or go on with the one that is unfinished.

By HTTP `POST /` with `{"dryRun": false, "incremental": false}`, both optional, or on Lambda by
`handler` with the same as the schedule's input. The answer is the run as it stands, `resumed`, and
`queued`, the messages sent now; by HTTP 202 while there is work left.

By HTTP the run is the caller's; with `adminAddress`, which only the role delegate may give, it is
`<adminAddress> by <caller>`. A schedule comes through no HTTP door: its run is `ADMIN`, or what its
input has as `adminAddress`.

With a queue the chunks are sweep_chunk's. Without one they are worked here until the deadline, and
the next call goes on from there.
"""

from typing import Any

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.core.access import Permission
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.errors import InvalidInput
from shared.http.actor import Actor, acting_admin
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.idempotency import idempotent
from shared.http.json_body import parse_body
from shared.http.lambda_http import is_http, lambda_handler
from shared.observe.context import gauge
from shared.observe.invocation import (
    LambdaContext,
    lambda_left_s,
    lambda_request_id,
    metrics_wanted,
    observed,
)
from shared.observe.metrics import Metric
from shared.ports.clock import Clock
from shared.services.plan_run import RunRequest
from shared.services.run_history import RunHistory
from shared.services.tick import Tick
from shared.settings import settings


class SweepBody(BaseModel):
    """What the caller may ask for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    dry_run: bool = Field(alias="dryRun", default=False)
    incremental: bool = False
    admin_address: str | None = Field(alias="adminAddress", default=None)


@http_function(methods=("POST",), permission=Permission.WRITE)
@idempotent
def sweep(request: Request, actor: Actor) -> Response:
    """Parse, tick, render."""
    body = parse_body(request, SweepBody)
    admin_address = acting_admin(actor, body.admin_address)
    tick = _tick(body, admin_address, settings().reconcile_deadline_s)
    response = json_response(_answer(tick))
    if tick.run.is_active:
        response.status_code = 202
    return response


_by_http = lambda_handler(sweep)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The same on Lambda, called by API Gateway or by a schedule.

    Raises ReconcileError to the schedule, so that the invocation counts as failed.
    """
    if is_http(event):
        return _by_http(event, context)
    with observed("sweep", lambda_request_id(context)):
        body = _asked(event)
        admin_address = DEFAULT_ADMIN_ADDRESS if body.admin_address is None else body.admin_address
        return _answer(_tick(body, admin_address, lambda_left_s(context)))


def _asked(event: dict[str, Any]) -> SweepBody:
    if "detail-type" in event:  # EventBridge's envelope
        detail = event.get("detail")
        # A schedule without an input of its own asks for nothing: {}, or "{}" from the Scheduler.
        event = detail if isinstance(detail, dict) else {}
    try:
        return SweepBody.model_validate(event)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
        )
        raise InvalidInput(faults, remedy="Correct the input of the schedule.") from error


def _tick(body: SweepBody, admin_address: str, left_s: float) -> Tick:
    from shared.bootstrap import services  # here, because importing both clients takes a second
    from shared.services.deadline import before_deadline

    asked_for = services()
    request = RunRequest(admin_address=admin_address, dry_run=body.dry_run)
    tick = asked_for.ticker.tick(
        request,
        incremental=body.incremental,
        should_stop=before_deadline(asked_for.clock, left_s),
    )
    if not (tick.run.dry_run or tick.run.is_active):
        asked_for.announcer.announce_quietly()
    if metrics_wanted(settings()):
        _note_age(asked_for.runs, asked_for.clock)
    return tick


def _note_age(runs: RunHistory, clock: Clock) -> None:
    covering = runs.covering()
    if covering is not None and covering.finished_at is not None:
        age_s = (clock.now() - covering.finished_at).total_seconds()
        gauge(Metric.SWEEP_AGE_S, round(max(age_s, 0.0), 3))


def _answer(tick: Tick) -> dict[str, Any]:
    return {"run": tick.run.as_json(), "resumed": tick.resumed, "queued": tick.queued}
