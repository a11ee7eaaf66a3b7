"""How often somebody may try to sign in: by where they are, and by the account that they name."""

import hashlib
import ipaddress
import math

from flask import Request

from shared.dashboard.visit import Visit
from shared.http.problem import Problem

PER_ADDRESS_PER_MIN = 10
PER_ACCOUNT_PER_MIN = 5


def take_attempt(visit: Visit, account: str | None = None) -> None:
    """Count an attempt. Raises a 429 Problem; LedgerError, and then nobody gets in."""
    slots = visit.services.request_slots
    waits_s = [slots.take(f"sign-in from {client_address(visit.request)}", PER_ADDRESS_PER_MIN)]
    if account is not None:
        # Hashed: somebody may have typed a password where the address belongs.
        named = hashlib.sha256(account.lower().encode()).hexdigest()
        waits_s.append(slots.take(f"sign-in to {named}", PER_ACCOUNT_PER_MIN))
    wait_s = math.ceil(max(waits_s))
    if wait_s > 0:
        raise Problem(
            429,
            "rate_limited",
            f"There were too many attempts to sign in. Wait {wait_s} s and try again.",
            retryable=True,
            headers={"Retry-After": str(wait_s)},
        )


def client_address(request: Request) -> str:
    """Where a request comes from, as far as nobody can make it up.

    API Gateway says so. Otherwise it is the other end of the connection or, when that is a proxy in
    our own network, what the proxy added last to X-Forwarded-For.
    """
    gateway = request.environ.get("apig_wsgi.request_context") or {}
    if told := (gateway.get("identity") or {}).get("sourceIp"):
        return str(told)
    remote = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded[:100] if forwarded and not _is_global(remote) else remote or "unknown"


def _is_global(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
