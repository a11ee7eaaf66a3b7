"""A report as PDF: the first page answers, the next ones list. The same report gives the same
bytes; reportlab is imported at the first use.

A PDF is for reading. Of more than PDF_ROWS_MAX rows it lists those with the largest amounts and
says so; the CSV, whose checksum it prints, has all.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import IO

from shared.core.amount import FlowAmount, format_amount
from shared.core.audit_row import AuditRow
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import PeriodReport, Report, RunReport
from shared.core.run import Run
from shared.core.verdict import Verdict, VerdictState, verdict
from shared.reports.cells import amount_cell, number_cell
from shared.reports.facts import Fact, Section, grouped, sections, words
from shared.reports.pdf_page import BLACK, GREY, MARGIN, WIDTH, Pages, heading
from shared.reports.pdf_table import LEADING, Column, Table, TableRow
from shared.reports.pdf_text import BOLD_FONT, CODE_FONT, TEXT_FONT, lines_that_fit, shown
from shared.reports.sums import sum_up

PDF_ROWS_MAX = 20_000

_Row = ReconciliationResult | AuditRow
_ADDRESS = Column("Address", 85.5, font=CODE_FONT)
_RESULT_COLUMNS = (
    _ADDRESS,
    Column("Outcome", 46),
    Column("Ledger (FLOW)", 90, "right"),
    Column("Contract (FLOW)", 90, "right"),
    Column("Discrepancy (FLOW)", 94, "right"),
    Column("Height", 52, "right"),
    Column("Audit row", WIDTH - 457.5, "right"),
)
_AUDIT_COLUMNS = (
    Column("Time (UTC)", 50),
    _ADDRESS,
    Column("Operation", 66),
    Column("Amount (FLOW)", 94, "right"),
    Column("Balance after (FLOW)", 90, "right"),
    Column("Height", 52, "right"),
    Column("Audit row", WIDTH - 437.5, "right"),
)
_RUN_COLUMNS = (
    Column("Run", 168, font=CODE_FONT),
    Column("Started (UTC)", 76),
    Column("Mode, state", 84),
    Column("Users", 50, "right"),
    Column("Differ", 46, "right"),
    Column("Corrected", 50, "right"),
    Column("Failed", WIDTH - 474, "right"),
)
_SIZE = 8.6
_LINE = 12.4
_LABEL_WIDTH = 196.0
_COUNT_EDGE = MARGIN + 290.0
_COLOURS = {
    VerdictState.WHOLE: (0.05, 0.42, 0.22),
    VerdictState.UNKNOWN: (0.55, 0.38, 0.0),
    VerdictState.NOT_WHOLE: (0.68, 0.09, 0.09),
}


def write_pdf(report: Report, file: IO[bytes]) -> None:
    """Write the report to a binary file; the largest lists take about 1 s for 10,000 rows."""
    sums = sum_up(report)
    pages = Pages(file, title=report.title, author=report.made_by, foot=report.name)
    _title(pages, report.title)
    _answer(pages, verdict(report))
    for section in sections(report, sums):
        _section(pages, section)
    if isinstance(report, PeriodReport) and report.runs:
        heading(pages, "Runs")
        Table(pages, _RUN_COLUMNS).draw(map(_run_row, report.runs))
    _rows(pages, report)
    pages.save()


def _title(pages: Pages, title: str) -> None:
    pages.y -= 6
    for line in lines_that_fit(shown(title), BOLD_FONT, 14, WIDTH):
        pages.y -= 12
        pages.text(MARGIN, line, size=14, font=BOLD_FONT)
        pages.y -= 4


def _answer(pages: Pages, answer: Verdict) -> None:
    lines = list(lines_that_fit(shown(answer.text), BOLD_FONT, 10.5, WIDTH - 14))
    height = len(lines) * 14 + 10
    pages.y -= 8
    pages.canvas.setFillColorRGB(*_COLOURS[answer.state])
    pages.canvas.rect(MARGIN, pages.y - height, 4, height, stroke=0, fill=1)
    pages.y -= 4
    for line in lines:
        pages.y -= 14
        pages.text(MARGIN + 14, line, size=10.5, font=BOLD_FONT, colour=_COLOURS[answer.state])
    pages.y -= 8


def _section(pages: Pages, section: Section) -> None:
    heading(pages, section.title)
    for fact in section.facts:
        _fact(pages, fact)


def _fact(pages: Pages, fact: Fact) -> None:
    font = CODE_FONT if fact.label.startswith("SHA-256") else TEXT_FONT
    width = WIDTH - _LABEL_WIDTH
    lines = list(lines_that_fit(shown(fact.text or ""), font, _SIZE, width))
    pages.room_for(len(lines) * _LINE)
    pages.y -= _LINE
    indent = 12.0 if fact.label.startswith(" ") else 0.0
    pages.text(MARGIN + indent, shown(fact.label.strip()), size=_SIZE, colour=GREY)
    if fact.count is not None:
        pages.right_text(_COUNT_EDGE, f"{fact.count:,}", size=_SIZE)
    if fact.amount is not None:
        pages.right_text(MARGIN + WIDTH, f"{grouped(fact.amount)} FLOW", size=_SIZE)
    for number, line in enumerate(lines):
        pages.y -= _LINE if number else 0
        pages.text(MARGIN + _LABEL_WIDTH, line, size=_SIZE, font=font, colour=BLACK)


def _rows(pages: Pages, report: Report) -> None:
    count = len(report.rows)
    is_run = isinstance(report, RunReport)
    if not count:
        pages.y -= 24
        nobody = "Nobody was out of sync." if is_run else "The audit log has no such row."
        pages.text(MARGIN, nobody, size=_SIZE)
        return
    pages.next_page()
    heading(pages, "Users who were not in sync" if is_run else "Audit rows")
    if count > PDF_ROWS_MAX:
        pages.y -= LEADING + 3
        pages.text(
            MARGIN,
            f"The {PDF_ROWS_MAX:,} of {count:,} rows with the largest amounts. "
            "The CSV has all of them.",
            size=_SIZE,
            font=BOLD_FONT,
        )
    columns = _RESULT_COLUMNS if is_run else _AUDIT_COLUMNS
    Table(pages, columns).draw(_listed(report.rows, count))


def _listed(rows: Iterable[_Row], count: int) -> Iterator[TableRow]:
    """In the order of the rows, whichever of them are listed."""
    if count > PDF_ROWS_MAX:
        numbered = heapq.nlargest(PDF_ROWS_MAX, enumerate(rows), key=lambda each: _size(each[1]))
        rows = [row for _, row in sorted(numbered, key=lambda each: each[0])]
    for row in rows:
        yield _audit_row(row) if isinstance(row, AuditRow) else _result_row(row)


def _size(row: _Row) -> float:
    amount = row.amount if isinstance(row, AuditRow) else row.discrepancy
    # Whoever could not be compared may differ by anything.
    return float("inf") if amount is None else abs(amount)


def _result_row(result: ReconciliationResult) -> TableRow:
    reason = ": ".join(part for part in (result.error_code, result.error) if part)
    return TableRow(
        (
            result.user_address,
            words(result.outcome),
            amount_cell(result.old_balance),
            amount_cell(result.new_balance),
            "" if result.discrepancy is None else _signed(result.discrepancy),
            number_cell(result.block_height),
            result.audit_id or "",
        ),
        reason,
    )


def _audit_row(row: AuditRow) -> TableRow:
    notes = [row.transaction_hash or ""]
    notes += [f"reverses audit row {row.reverses_audit_id}"] if row.reverses_audit_id else []
    notes += [f"reason: {row.reason}"] if row.reason else []
    return TableRow(
        (
            "" if row.created_at is None else f"{row.created_at:%Y-%m-%d %H:%M:%S}",
            row.user_address,
            words(row.operation_type),
            "" if row.amount is None else _signed(row.amount),
            amount_cell(row.balance_after),
            number_cell(row.block_height),
            row.audit_id,
        ),
        ", ".join(part for part in notes if part),
    )


def _run_row(run: Run) -> TableRow:
    return TableRow(
        (
            str(run.run_id),
            f"{run.started_at:%Y-%m-%d %H:%M:%S}",
            f"{'dry run' if run.dry_run else 'corrects'}, {words(run.state)}",
            f"{run.users:,}",
            f"{run.candidates + run.count(Outcome.HELD):,}",
            f"{run.count(Outcome.CORRECTED):,}",
            f"{run.count(Outcome.FAILED):,}",
        )
    )


def _signed(amount: FlowAmount) -> str:
    return ("+" if amount > 0 else "") + format_amount(amount)
