"""Successful answers, and what every answer has."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from flask import Request, Response
from werkzeug.exceptions import HTTPException

from shared.http.request_id import HEADER, request_id_of

JSON_TYPE = "application/json"
STREAM_CHARS = 64 * 1024
DRAIN_BYTES_MAX = 256 * 1024
"""How much of a body that nobody wants is read, so that the answer is not lost to a TCP reset."""


def json_response(value: Any) -> Response:
    """200 with a JSON value."""
    return Response(json.dumps(value) + "\n", content_type=JSON_TYPE)


def streamed_response(parts: Iterable[str], content_type: str) -> Response:
    """200 with a text of any length, sent while it is made.

    Its beginning is made at once, so an error then is the caller's, and can still become a
    problem; one that comes later can only break the answer off.
    """
    joined = _joined(parts)
    return Response(chain([next(joined)], joined), content_type=content_type)


def _joined(parts: Iterable[str]) -> Iterator[bytes]:
    # A write for every line costs more than making the line.
    buffer: list[str] = []
    size = 0
    for part in parts:
        buffer.append(part)
        size += len(part)
        if size >= STREAM_CHARS:
            yield "".join(buffer).encode()
            buffer, size = [], 0
    yield "".join(buffer).encode()


def finished(request: Request, response: Response) -> Response:
    """The response with the headers that all have, and the request's body dealt with."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers[HEADER] = request_id_of(request)
    if not response.is_streamed and not _drained(request):
        # functions-framework reads the rest into memory unless the response is an iterator.
        length = response.content_length
        response.response = iter([response.get_data()])
        response.content_length = length
    return response


def _drained(request: Request) -> bool:
    """Was the body read to its end?"""
    left = DRAIN_BYTES_MAX
    try:
        while left > 0 and (chunk := request.stream.read(min(left, 16 * 1024))):
            left -= len(chunk)
    except (HTTPException, OSError):
        return False
    return left > 0
