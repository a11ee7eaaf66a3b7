"""POST /: correct one user's ledger balance to the contract's, with an audit row.

`{"userAddress": "0x…", "adminAddress": "0x…"}` → 200 with the result; anything else is a problem
(RFC 9457). `adminAddress` is who the audit row names, `ADMIN` when left out. Calling again is
safe: it finds the balances in sync.
"""

from flask import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shared.api import reconcile_user_balance
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.http.answers import json_response
from shared.http.entry import http_function
from shared.http.json_body import parse_body
from shared.http.statuses import problem_of


class ReconcileUserBody(BaseModel):
    """What the caller sends. The addresses themselves are checked by the service."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    user_address: str = Field(alias="userAddress")
    admin_address: str = Field(alias="adminAddress", default=DEFAULT_ADMIN_ADDRESS)


@http_function(methods=("POST",))
def reconcile_user(request: Request) -> Response:
    """Parse, reconcile, render."""
    body = parse_body(request, ReconcileUserBody)
    result = reconcile_user_balance(body.user_address, body.admin_address)
    if not result.success:
        raise problem_of(result.error_code, result.error)
    return json_response(result.as_json())
