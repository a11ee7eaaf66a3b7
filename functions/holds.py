"""Whom admins keep corrections away from.

`GET /` → `{"holds": […], "next": null}`: the active holds by address, `?limit=100` of them, to
1,000; `next`, where it is not null, is what `?after=` goes on with. `POST /` with
`{"userAddress": "0x…", "action": "hold", "reason": "…"}` holds a user, and with `"release"`, where
the reason may be left out, lets corrections go on. Calling again is safe: `outcome` says whether
anything was changed. With `adminAddress`, which only the role delegate may give, the hold is
`<adminAddress> by <caller>`.
"""

from typing import Any, Literal, Self

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.core.access import Permission
from shared.core.hold import HoldChange
from shared.http.actor import Actor, acting_admin, check_permission
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.json_body import parse_body
from shared.http.lambda_http import lambda_handler
from shared.http.problem import Problem

LIMIT_DEFAULT = 100
LIMIT_MAX = 1_000


class HoldBody(BaseModel):
    """What the caller sends. Address and reason are checked by the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user_address: str = Field(alias="userAddress")
    action: Literal["hold", "release"]
    reason: str | None = None
    admin_address: str | None = Field(alias="adminAddress", default=None)

    @model_validator(mode="after")
    def _hold_has_a_reason(self) -> Self:
        if self.action == "hold" and self.reason is None:
            raise ValueError("a hold has a reason")
        return self


@http_function(methods=("GET", "POST"), permission=Permission.READ)
def holds(request: Request, actor: Actor) -> Response:
    """Parse, list or change, render."""
    if request.method == "GET":
        return json_response(_listed(request))
    check_permission(actor, Permission.WRITE)
    body = parse_body(request, HoldBody)
    changed = _changed(body, acting_admin(actor, body.admin_address))
    return json_response(changed.as_json())


def _changed(body: HoldBody, admin_address: str) -> HoldChange:
    from shared.bootstrap import services  # here, because importing the client takes a while

    keeper = services().holds
    if body.action == "release":
        return keeper.release(body.user_address, admin_address, body.reason)
    return keeper.hold(body.user_address, admin_address, body.reason or "")


def _listed(request: Request) -> dict[str, Any]:
    from shared.bootstrap import services

    for name in request.args:
        if name not in ("limit", "after") or len(request.args.getlist(name)) > 1:
            raise _wrong(f"{name[:60]!r} is not a known parameter, or is there twice")
    limit = _limit(request.args.get("limit"))
    found = services().holds.list(request.args.get("after"), limit)
    return {
        "holds": [each.as_json() for each in found],
        "next": found[-1].user_address if len(found) == limit else None,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return LIMIT_DEFAULT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LIMIT_MAX):
        raise _wrong(f"The limit {text[:60]!r} is not a whole number from 1 to {LIMIT_MAX}")
    return int(text)


def _wrong(fault: str) -> Problem:
    return Problem(400, "invalid_input", f"{fault}. Known are limit and after.")


handler = lambda_handler(holds)
