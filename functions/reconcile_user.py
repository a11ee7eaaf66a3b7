"""POST /: correct one user's ledger balance to the contract's, with an audit row.

`{"userAddress": "0x…", "adminAddress": "0x…"}` → 200 with the result; anything else is a problem
(RFC 9457). The audit row names the caller; with `adminAddress`, which only the role delegate may
give, `<adminAddress> by <caller>`. Calling again is safe: it finds the balances in sync.
"""

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.api import reconcile_user_balance
from shared.core.access import Permission
from shared.http.actor import Actor, acting_admin
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.idempotency import idempotent
from shared.http.json_body import parse_body
from shared.http.lambda_http import lambda_handler
from shared.http.statuses import problem_of
from shared.observe.context import count_results


class ReconcileUserBody(BaseModel):
    """What the caller sends. The addresses themselves are checked by the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user_address: str = Field(alias="userAddress")
    admin_address: str | None = Field(alias="adminAddress", default=None)


@http_function(methods=("POST",), permission=Permission.WRITE)
@idempotent
def reconcile_user(request: Request, actor: Actor) -> Response:
    """Parse, reconcile, render."""
    body = parse_body(request, ReconcileUserBody)
    admin_address = acting_admin(actor, body.admin_address)
    result = reconcile_user_balance(body.user_address, admin_address)
    count_results([result])
    if not result.success:
        raise problem_of(result.error_code, result.error)
    return json_response(result.as_json())


handler = lambda_handler(reconcile_user)
