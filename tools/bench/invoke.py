"""A process that is a Lambda instance: imports reconcile_user, is called again and again, and
prints what that took, as JSON."""

import json
import os
import sys
import time
from statistics import median
from typing import Any

from shared.core.access import ApiKey, Role, key_digest

_KEY = "benchmark-benchmark-benchmark-benchmark"


class _Context:
    aws_request_id = "benchmark"


def main(user_address: str, warm_calls: int) -> int:
    """One invocation that connects, then `warm_calls` that find everything there."""
    os.environ["RECONCILE_API_KEYS"] = ApiKey("bench-warm", Role.ADMIN, key_digest(_KEY)).line()
    os.environ["RECONCILE_REQUESTS_PER_MIN"] = "100000"
    began = time.perf_counter()
    from functions.reconcile_user import handler

    import_s = time.perf_counter() - began
    event = _event(user_address)
    seconds = []
    for _ in range(1 + warm_calls):
        began = time.perf_counter()
        answer = handler(event, _Context())
        seconds.append(time.perf_counter() - began)
        assert answer["statusCode"] == 200, answer
    first_s, *warm_s = seconds
    print(
        json.dumps(
            {
                "cold_start_s": import_s + first_s,
                "second_call_ms": 1_000 * warm_s[0],
                "warm_call_p50_ms": 1_000 * median(warm_s),
            }
        )
    )
    return 0


def _event(user_address: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"}
    return {
        "httpMethod": "POST",
        "path": "/reconcile_user",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {"path": "/reconcile_user"},
        "body": json.dumps({"userAddress": user_address}),
        "isBase64Encoded": False,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
