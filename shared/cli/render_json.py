"""JSON lines: one object a line, in ASCII, each with a `type`."""

import json
from collections.abc import Iterable, Iterator

from shared.core.errors import ReconcileError
from shared.core.outcome import ReconciliationResult
from shared.core.sweep_result import SweepSummary


def result_json(result: ReconciliationResult) -> str:
    """One user's result."""
    return json.dumps({"type": "result", **result.as_json()})


def summary_json(summary: SweepSummary) -> str:
    """The run's counts."""
    return json.dumps({"type": "summary", **summary.as_json()})


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


def sweep_json(
    results: Iterable[ReconciliationResult], error: ReconcileError | None, summary: SweepSummary
) -> Iterator[str]:
    """Results, then the error if there is one; the summary is always the last line."""
    yield from map(result_json, results)
    if error:
        yield error_json(error)
    yield summary_json(summary)
