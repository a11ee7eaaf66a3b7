"""What a report can be written as."""

from collections.abc import Iterable
from typing import IO

from shared.core.report import Report
from shared.reports.csv_report import report_csv_lines
from shared.reports.json_report import json_parts

CSV_TYPE = "text/csv; charset=utf-8"
JSON_TYPE = "application/json"
PDF_TYPE = "application/pdf"
CONTENT_TYPES = {"csv": CSV_TYPE, "json": JSON_TYPE, "pdf": PDF_TYPE}
"""By the name of the format, which is the ending of its files."""

_WRITE_CHARS = 64 * 1024


def write_report(report: Report, format_name: str, file: IO[bytes]) -> None:
    """Write a report to a binary file as `csv`, `json` or `pdf`; raises KeyError for others."""
    if format_name == "pdf":
        from shared.reports.pdf_report import write_pdf  # here, because reportlab takes its time

        write_pdf(report, file)
    else:
        parts = {"csv": report_csv_lines, "json": json_parts}[format_name](report)
        _write(parts, file)


def _write(parts: Iterable[str], file: IO[bytes]) -> None:
    # A write for every line costs more than making the line.
    buffer: list[str] = []
    size = 0
    for part in parts:
        buffer.append(part)
        size += len(part)
        if size >= _WRITE_CHARS:
            file.write("".join(buffer).encode(errors="backslashreplace"))
            buffer, size = [], 0
    file.write("".join(buffer).encode(errors="backslashreplace"))
