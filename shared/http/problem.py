"""Refusals and failures as problem details (RFC 9457, application/problem+json)."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response

from shared.observe.context import note_error

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""What a retryable 503 asks for: longer than the services' own quick retries."""


class Problem(Exception):
    """An answer that is no success. Everything in it goes to the caller: no secrets, no traces."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retryable: bool = False,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.headers = dict(headers or {})
        self.members = dict(members or {})
        if retryable and status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.headers["Retry-After"] = str(RETRY_AFTER_S)

    def response(self) -> Response:
        """The answer; `code` is stable and safe to match on, `members` are further members."""
        note_error(self.code)
        body = {
            "type": "about:blank",  # then the title is the status's own phrase
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "retryable": self.retryable,
            **self.members,
        }
        text = json.dumps(body) + "\n"
        return Response(text, self.status, headers=self.headers, content_type=PROBLEM_TYPE)


def internal_problem() -> Problem:
    """For whatever nobody foresaw: says nothing about the cause, which the log has."""
    return Problem(
        500,
        "internal_error",
        "The function failed unexpectedly. Its log says why.",
    )
