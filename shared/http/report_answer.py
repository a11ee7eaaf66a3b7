"""A report as an answer: streamed, or a link to where it is kept when it is too large."""

import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from flask import Response

from shared.core.report import Report, RunReport
from shared.http.answers import streamed_response
from shared.reports.formats import CONTENT_TYPES, write_report

if TYPE_CHECKING:
    from shared.services.report_store import ReportStore

REPORT_MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "pdf": "application/pdf"}
"""By the name of the format; the first is for callers who have no wish."""

ANSWERED_BYTES_MAX = 4 * 1024 * 1024
"""With what base64 or JSON make of it, still within the 6 MB that Lambda answers."""
_CHUNK_BYTES = 64 * 1024


def head_response(format_name: str) -> Response:
    """What HEAD gets: it has no Content-Length, because only the report would tell."""
    return streamed_response((), CONTENT_TYPES[format_name])


def report_response(report: Report, format_name: str, store: "ReportStore | None") -> Response:
    """200 with the report as a download, or 303 to it. Raises LedgerError, ReportStoreError."""
    file = _written(report, format_name)
    size = file.tell()
    if size > ANSWERED_BYTES_MAX and store is not None:
        with file:
            return _see_other(_link(report, format_name, file, store))
    response = Response(_chunks(file), content_type=CONTENT_TYPES[format_name])
    response.content_length = size
    response.call_on_close(file.close)
    name = f"{report.name}.{format_name}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _link(report: Report, format_name: str, file: IO[bytes], store: "ReportStore") -> str:
    # A run that has ended is what it was when its report was stored.
    if isinstance(report, RunReport) and not report.run.is_active:
        name = f"{report.name}.{format_name}"
        link = store.link_of_run(report.run.run_id, format_name, name)
        if link is not None:
            return link
    return store.publish(file, report, format_name)


def _written(report: Report, format_name: str) -> IO[bytes]:
    """The whole report, before anything is answered: an error is then still a problem."""
    file = tempfile.SpooledTemporaryFile(ANSWERED_BYTES_MAX)  # noqa: SIM115 (closed with the response)
    try:
        write_report(report, format_name, file)
    except BaseException:
        file.close()
        raise
    return file


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _see_other(link: str) -> Response:
    return Response(status=303, headers={"Location": link})
