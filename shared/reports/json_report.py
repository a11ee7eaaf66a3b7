"""A report as one JSON object, a row at a time."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from shared.core.audit_row import AuditRow
from shared.core.outcome import ReconciliationResult, iso_utc
from shared.core.report import PeriodReport, Report, RunReport
from shared.core.verdict import verdict
from shared.reports.sums import Sums, sum_up


def json_parts(report: Report) -> Iterator[str]:
    """`{"kind": …, "verdict": …, …, "rows": [` and a line for each row; amounts as decimal text."""
    head = json.dumps(_head(report, sum_up(report)))
    yield f'{head[:-1]}, "rows": ['
    rows: Iterable[ReconciliationResult | AuditRow] = report.rows
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + json.dumps(row.as_json())
    yield "]}\n"


def _head(report: Report, sums: Sums) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "name": report.name,
        "madeAt": iso_utc(report.made_at),
        "madeBy": report.made_by,
        "verdict": verdict(report).as_json(),
        "csvSha256": sums.sha256,
        **_about(report),
        "rowCount": len(report.rows),
    }


def _about(report: Report) -> dict[str, Any]:
    if isinstance(report, RunReport):
        return {
            "run": report.run.as_json(),
            "rolledBack": report.rolled_back,
            "solvency": _solvency(report),
        }
    if isinstance(report, PeriodReport):
        return {
            "since": iso_utc(report.since),
            "until": iso_utc(report.until),
            "runs": [run.as_json() for run in report.runs],
            "rolledBack": report.rolled_back,
            "totals": [total.as_json() for total in report.totals],
            "solvency": _solvency(report),
        }
    return {"userAddress": report.user_address, "standing": report.standing.as_json()}


def _solvency(report: RunReport | PeriodReport) -> dict[str, Any] | None:
    return None if report.solvency is None else report.solvency.as_json()
