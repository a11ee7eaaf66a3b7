"""Results and audit rows as CSV (RFC 4180), a line at a time, safe to open in a spreadsheet."""

from collections.abc import Iterable, Iterator

from shared.core.audit_row import AuditRow
from shared.core.outcome import ReconciliationResult
from shared.core.report import Report, RunReport
from shared.reports.cells import amount_cell, csv_line, number_cell, text_cell, time_cell

CSV_COLUMNS = (
    "user_address",
    "outcome",
    "ledger_balance",
    "contract_balance",
    "discrepancy",
    "block_height",
    "scan_height",
    "audit_id",
    "timestamp",
    "error_code",
    "error",
)
AUDIT_CSV_COLUMNS = (
    "audit_id",
    "created_at",
    "user_address",
    "operation_type",
    "amount",
    "balance_before",
    "balance_after",
    "transaction_hash",
    "block_height",
    "run_id",
    "chain_no",
    "reverses_audit_id",
    "reason",
)


def csv_lines(results: Iterable[ReconciliationResult]) -> Iterator[str]:
    """The header and one line a result, each ending in CRLF; amounts in FLOW with 8 places."""
    yield csv_line(CSV_COLUMNS)
    for result in results:
        yield result_line(result)


def audit_csv_lines(rows: Iterable[AuditRow]) -> Iterator[str]:
    """The same of audit rows."""
    yield csv_line(AUDIT_CSV_COLUMNS)
    for row in rows:
        yield audit_line(row)


def report_csv_lines(report: Report) -> Iterator[str]:
    """The rows of a report: the file that its checksum is of."""
    if isinstance(report, RunReport):
        return csv_lines(report.rows)
    return audit_csv_lines(report.rows)


def result_line(result: ReconciliationResult) -> str:
    """One record of CSV_COLUMNS."""
    return csv_line(
        (
            text_cell(result.user_address),
            str(result.outcome),
            amount_cell(result.old_balance),
            amount_cell(result.new_balance),
            amount_cell(result.discrepancy),
            number_cell(result.block_height),
            number_cell(result.scan_height),
            text_cell(result.audit_id),
            time_cell(result.timestamp),
            text_cell(result.error_code),
            text_cell(result.error),
        )
    )


def audit_line(row: AuditRow) -> str:
    """One record of AUDIT_CSV_COLUMNS."""
    return csv_line(
        (
            text_cell(row.audit_id),
            time_cell(row.created_at),
            text_cell(row.user_address),
            text_cell(row.operation_type),
            amount_cell(row.amount),
            amount_cell(row.balance_before),
            amount_cell(row.balance_after),
            text_cell(row.transaction_hash),
            number_cell(row.block_height),
            "" if row.run_id is None else str(row.run_id),
            number_cell(row.chain_no),
            text_cell(row.reverses_audit_id),
            text_cell(row.reason),
        )
    )
