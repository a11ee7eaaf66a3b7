"""The headers that requests may have and answers have."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from shared.http.idempotency import KEY_CHARS_MAX, KEY_HEADER, REPLAYED_HEADER
from shared.http.request_id import HEADER as REQUEST_ID_HEADER
from shared.http.webhook_replay import REPLAYED_HEADER as MESSAGE_REPLAYED_HEADER
from shared.http.webhook_signature import MESSAGE_ID_CHARS_MAX

Json = dict[str, Any]

_TEXT: Json = {"type": "string"}

PARAMETERS: Mapping[str, Json] = {
    REQUEST_ID_HEADER: {
        "name": REQUEST_ID_HEADER,
        "in": "header",
        "description": "Goes into the logs and comes back; one that is not fit for that, or none, "
        "is replaced by a new one.",
        "schema": _TEXT,
    },
    KEY_HEADER: {
        "name": KEY_HEADER,
        "in": "header",
        "description": "Lets the request be sent again: for a day the same key with the same body "
        "gives the first answer, unless that was a failure that may pass. Printable ASCII, such as "
        "a UUID.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": KEY_CHARS_MAX,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
    },
}

SIGNED_PARAMETERS: Mapping[str, Json] = {
    "Webhook-Id": {
        "name": "Webhook-Id",
        "in": "header",
        "required": True,
        "description": "A message sent again has the same one, and gets the first answer again.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": MESSAGE_ID_CHARS_MAX,
            "pattern": "^[!-~]+$",
        },
    },
    "Webhook-Timestamp": {
        "name": "Webhook-Timestamp",
        "in": "header",
        "required": True,
        "description": "When it was signed, in Unix seconds.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,11}$"},
    },
}

_SECONDS: Json = {"type": "string", "pattern": "^[1-9][0-9]*$"}

HEADERS: Mapping[str, Json] = {
    REQUEST_ID_HEADER: {
        "description": "The request's id in the logs.",
        "required": True,
        "schema": _TEXT,
    },
    REPLAYED_HEADER: {
        "description": "This is the stored answer to an earlier request with the same key.",
        "schema": {"type": "string", "const": "true"},
    },
    MESSAGE_REPLAYED_HEADER: {
        "description": "This is the stored answer to the same message.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {"description": "Ask again after so many seconds.", "schema": _SECONDS},
    "WWW-Authenticate": {"description": "How to show who calls.", "schema": _TEXT},
    "Allow": {"description": "The methods that there are.", "required": True, "schema": _TEXT},
    "Content-Disposition": {"description": "A name for the file.", "schema": _TEXT},
}

_BY_STATUS: Mapping[HTTPStatus, tuple[str, ...]] = {
    HTTPStatus.UNAUTHORIZED: ("WWW-Authenticate",),
    HTTPStatus.FORBIDDEN: ("WWW-Authenticate",),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Allow",),
    HTTPStatus.CONFLICT: ("Retry-After",),
    HTTPStatus.TOO_MANY_REQUESTS: ("Retry-After",),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Retry-After",),
}
_STORED = (
    HTTPStatus.OK,
    HTTPStatus.ACCEPTED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""Statuses of answers that a key may bring back."""


def answer_headers(status: HTTPStatus, *, takes_key: bool, is_signed: bool) -> Json:
    """Name → reference, of the headers that an answer of this status may have."""
    names = [REQUEST_ID_HEADER, *_BY_STATUS.get(status, ())]
    if takes_key and status in _STORED:
        names.append(REPLAYED_HEADER)
    if is_signed and status < HTTPStatus.BAD_REQUEST:
        names.append(MESSAGE_REPLAYED_HEADER)
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
