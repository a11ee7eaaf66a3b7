"""JSON lines: one object a line, in ASCII, each with a `type`."""

import json

from shared.core.errors import ReconcileError
from shared.core.outcome import ReconciliationResult
from shared.core.run import Run


def result_json(result: ReconciliationResult) -> str:
    """One user's result."""
    return json.dumps({"type": "result", **result.as_json()})


def summary_json(run: Run) -> str:
    """The counts of the run that the other lines are about."""
    return json.dumps({"type": "summary", **run.as_json()})


def run_json(run: Run) -> str:
    """One of many runs."""
    return json.dumps({"type": "run", **run.as_json()})


def error_json(error: ReconcileError) -> str:
    """What kept the command from doing what it was asked to."""
    return json.dumps(
        {
            "type": "error",
            "code": error.code,
            "error": str(error),
            "retryable": error.retryable,
        }
    )
