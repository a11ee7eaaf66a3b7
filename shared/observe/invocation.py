"""Around each call of a function: its log line, its metrics, and errors that tell no secrets."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from shared.core.errors import InvocationFailed, ReconcileError
from shared.observe.context import Invocation, entered, new_request_id
from shared.observe.json_logs import configure, redacted
from shared.observe.metrics import Metric, emf_line
from shared.settings import Settings

_log = logging.getLogger(__name__)


@contextmanager
def observed(function: str, request_id: str | None = None) -> Iterator[Invocation]:
    """Run a function's call: what it logs and counts goes by `function` and `request_id`.

    At the end one line tells how it went. An error that is none of ours, or whose text would show
    a secret, leaves as InvocationFailed: a host prints what a handler raises.
    """
    config = configure()
    invocation = Invocation(function, request_id or new_request_id())
    with entered(invocation):
        began_s = time.perf_counter()
        try:
            yield invocation
        except Exception as error:
            known = isinstance(error, ReconcileError)
            invocation.error_code = getattr(error, "code", None) if known else ReconcileError.code
            _log.error("%s failed", function, exc_info=error)
            if known and redacted(str(error)) == str(error):
                raise
            raise InvocationFailed(
                f"{function} failed with {type(error).__qualname__}",
                remedy=f"Its log says where, under request id {invocation.request_id}.",
            ) from None
        finally:
            invocation.gauge(Metric.DURATION_MS, round(1_000 * (time.perf_counter() - began_s), 3))
            level = logging.WARNING if (invocation.status or 0) >= 500 else logging.INFO
            _log.log(level, "%s ended", function, extra={"fields": _fields(invocation)})
            if metrics_wanted(config):
                _emit(invocation, config)


class LambdaContext(Protocol):
    """What a Lambda function is told about its invocation."""

    def get_remaining_time_in_millis(self) -> int: ...


def lambda_left_s(context: LambdaContext) -> float:
    """Seconds until Lambda ends the invocation."""
    return context.get_remaining_time_in_millis() / 1000


def lambda_request_id(context: object) -> str | None:
    """The id that AWS Lambda gave the invocation, if `context` is Lambda's or like it."""
    given = getattr(context, "aws_request_id", None)
    return str(given) if given else None


def metrics_wanted(config: Settings | None) -> bool:
    """Does anybody read metrics: RECONCILE_METRICS, or else, is this AWS Lambda?"""
    if config is not None and config.reconcile_metrics is not None:
        return config.reconcile_metrics == "emf"
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _fields(invocation: Invocation) -> dict[str, Any]:
    values = invocation.values()
    told: dict[str, Any] = {
        "status": invocation.status,
        "error_code": invocation.error_code,
        "duration_ms": values[Metric.DURATION_MS],
        "users_checked": values[Metric.USERS_CHECKED],
        "discrepancies": values[Metric.DISCREPANCIES],
        "script_calls": values[Metric.SCRIPT_CALLS],
        "outcomes": invocation.outcomes(),
    }
    return {name: value for name, value in told.items() if value is not None}


def _emit(invocation: Invocation, config: Settings | None) -> None:
    stage = config.reconcile_stage if config else os.environ.get("RECONCILE_STAGE") or "local"
    run = {} if invocation.run_id is None else {"RunId": str(invocation.run_id)}
    line = emf_line(
        invocation.values(),
        at=datetime.now(UTC),
        function=invocation.function,
        stage=stage,
        properties={"RequestId": redacted(invocation.request_id), **run},
    )
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
