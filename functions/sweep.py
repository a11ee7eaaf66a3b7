"""What the schedule calls: start a run over the ledger, or go on with the one that is unfinished.

By HTTP `POST /` with `{"dryRun": false, "incremental": false, "adminAddress": "ADMIN"}`, all
optional, or on Lambda by `handler` with the same as the schedule's input. The answer is the run as
it stands, `resumed`, and `queued`, the messages sent now; by HTTP 202 while there is work left.

With a queue the chunks are sweep_chunk's. Without one they are worked here until the deadline, and
the next call goes on from there.
"""

from typing import Any, Protocol

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.errors import InvalidInput
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.json_body import parse_body
from shared.services.plan_run import RunRequest
from shared.services.tick import Tick
from shared.settings import settings


class SweepBody(BaseModel):
    """What the caller may ask for."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    dry_run: bool = Field(alias="dryRun", default=False)
    incremental: bool = False
    admin_address: str = Field(alias="adminAddress", default=DEFAULT_ADMIN_ADDRESS)


class LambdaContext(Protocol):
    """What a Lambda function is told about its invocation."""

    def get_remaining_time_in_millis(self) -> int: ...


@http_function(methods=("POST",))
def sweep(request: Request) -> Response:
    """Parse, tick, render."""
    tick = _tick(parse_body(request, SweepBody), settings().reconcile_deadline_s)
    response = json_response(_answer(tick))
    if tick.run.is_active:
        response.status_code = 202
    return response


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """The same on Lambda. Raises ReconcileError, so that the invocation counts as failed."""
    body = _asked(event)
    return _answer(_tick(body, context.get_remaining_time_in_millis() / 1000))


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


def _tick(body: SweepBody, left_s: float) -> Tick:
    from shared.bootstrap import services  # here, because importing both clients takes a second
    from shared.services.deadline import before_deadline

    asked_for = services()
    request = RunRequest(admin_address=body.admin_address, dry_run=body.dry_run)
    return asked_for.ticker.tick(
        request,
        incremental=body.incremental,
        should_stop=before_deadline(asked_for.clock, left_s),
    )


def _answer(tick: Tick) -> dict[str, Any]:
    return {"run": tick.run.as_json(), "resumed": tick.resumed, "queued": tick.queued}
