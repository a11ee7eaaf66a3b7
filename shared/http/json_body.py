"""A request's body: a small JSON object in UTF-8, read strictly, then checked field by field."""

import json
from typing import Any, NoReturn, TypeVar

from flask import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from shared.http.problem import Problem

BODY_BYTES_MAX = 16 * 1024

Body = TypeVar("Body", bound=BaseModel)

_READ_BYTES = 8 * 1024
_VALUE = "reconcile.json_body"
_TEXT_SHOWN_MAX = 60


def parse_body(request: Request, model: type[Body]) -> Body:
    """The body as `model`. Raises Problem: 415, 413, 400 for no JSON, 422 for wrong fields."""
    try:
        return model.model_validate(json_value(request))
    except ValidationError as error:
        raise _wrong_fields(error, model) from error


def json_value(request: Request) -> Any:
    """The body, whatever its fields; read once a request. Raises Problem: 415, 413, 400."""
    if _VALUE not in request.environ:
        check_content_type(request)
        request.environ[_VALUE] = parse_json(read_bytes(request, BODY_BYTES_MAX))
    return request.environ[_VALUE]


def check_content_type(request: Request) -> None:
    """Raise a 415 Problem unless the body is said to be JSON in UTF-8, as it is."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise _unsupported("The content type is not JSON in UTF-8", "Content-Type")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise _unsupported("The body is compressed", "Content-Encoding")


def _unsupported(fault: str, header: str) -> Problem:
    remedy = {
        "Content-Type": "Send the header Content-Type: application/json.",
        "Content-Encoding": "Send it as it is, without Content-Encoding.",
    }[header]
    return Problem(
        415,
        "unsupported_media_type",
        f"{fault}. {remedy}",
        headers={"Accept": "application/json"} if header == "Content-Type" else None,
    )


def read_bytes(request: Request, bytes_max: int) -> bytes:
    """The body, `bytes_max` at most. Raises Problem: 413, or 400 when it does not arrive whole."""
    if (request.content_length or 0) > bytes_max:
        raise _too_large(bytes_max)
    chunks: list[bytes] = []
    size = 0
    try:
        # A read may return less than was asked for, and a chunked body has no length.
        while chunk := request.stream.read(_READ_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > bytes_max:
                raise _too_large(bytes_max)
    except (HTTPException, OSError) as error:
        raise _malformed("The body did not arrive whole", "Send it again.") from error
    return b"".join(chunks)


def _too_large(bytes_max: int) -> Problem:
    remedy = "Send one user's request only" if bytes_max == BODY_BYTES_MAX else "Send it in parts"
    return Problem(413, "body_too_large", f"The body is larger than {bytes_max} bytes. {remedy}.")


def parse_json(body: bytes) -> Any:
    """The JSON value, strictly: no field twice, no NaN. Raises Problem, a 400."""
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise _malformed("The body is not UTF-8", "Encode it as UTF-8.") from error
    except RecursionError as error:
        raise _malformed("The body is nested too deeply", "Send one flat object.") from error
    except json.JSONDecodeError as error:
        fault = f"The body is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
        raise _malformed(fault, "Send one JSON object.") from error
    except ValueError as error:  # a number of too many digits
        raise _malformed("The body has a number that is no JSON number", "Correct it.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _malformed(f"The body has {_shown(key)} twice", "Give each field once.")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise _malformed(f"The body has {name}, which is not JSON", "Remove it.")


def _malformed(fault: str, remedy: str) -> Problem:
    return Problem(400, "malformed_body", f"{fault}. {remedy}")


def _wrong_fields(error: ValidationError, model: type[BaseModel]) -> Problem:
    known = ", ".join(field.alias or name for name, field in model.model_fields.items())
    errors = [_field_error(each, known) for each in error.errors(include_url=False)]
    detail = " ".join(f"{each['field']} {each['fault']}. {each['remedy']}" for each in errors)
    return Problem(422, "invalid_input", detail, members={"errors": errors})


def _field_error(error: ErrorDetails, known: str) -> dict[str, str]:
    field = _shown(".".join(map(str, error["loc"]))) if error["loc"] else "The body"
    match error["type"]:
        case "missing":
            fault, remedy = "is missing", "Give it as a string."
        case "extra_forbidden":
            fault, remedy = "is not a known field", f"Remove it; known are: {known}."
        case "string_type":
            fault, remedy = "is not a string", "Give it as a JSON string."
        case "string_unicode":
            fault, remedy = "is not valid Unicode", "Remove lone surrogates."
        case "model_type":
            fault, remedy = "is not an object", f"Send an object with: {known}."
        case "value_error":  # of several fields together
            fault, remedy = "cannot be used", f"{error['ctx']['error']}."
        case _:
            fault, remedy = "cannot be used", f"{error['msg']}."
    return {"field": field, "fault": fault, "remedy": remedy}


def _shown(key: str) -> str:
    return key if len(key) <= _TEXT_SHOWN_MAX else f"{key[:_TEXT_SHOWN_MAX]}…"
