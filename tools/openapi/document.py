"""The OpenAPI document: the registry and the models, put together."""

import json
from collections import defaultdict
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from shared.http.answers import JSON_TYPE
from shared.http.idempotency import KEY_HEADER
from shared.http.problem import PROBLEM_TYPE
from shared.http.request_id import HEADER as REQUEST_ID_HEADER
from tools.openapi.answers import Problem
from tools.openapi.headers import HEADERS, PARAMETERS, SIGNED_PARAMETERS, Json, answer_headers
from tools.openapi.operations import OPERATIONS, Operation
from tools.openapi.problems import ProblemCode

_DESCRIPTION = (
    "Keeps a Supabase ledger of balances equal to a contract on Flow. Amounts are FLOW as decimal "
    "text with 8 places. Whatever is no success is a problem (RFC 9457) with a stable code, and "
    "retryable to say whether asking again may help."
)
_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of RECONCILE_API_KEYS, or a token of Supabase Auth whose "
        "app_metadata.role has a role here.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "Webhook-Signature",
        "description": "Standard Webhooks: signatures of id, timestamp and body, by a secret of "
        "RECONCILE_WEBHOOK_SECRETS.",
    },
}


def document() -> Json:
    """OpenAPI 3.1, in JSON values; the same for the same code."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Balance reconciliation", "version": "1", "description": _DESCRIPTION},
        "servers": [
            {
                "url": "{base}",
                "description": "Where the functions are: the stage of an API Gateway, `make serve`,"
                " or a host that has a function each, at whose root the function then is.",
                "variables": {"base": {"default": "http://127.0.0.1:8080"}},
            }
        ],
        "security": [{"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "parameters": {**PARAMETERS, **SIGNED_PARAMETERS},
            "headers": dict(HEADERS),
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def document_text() -> str:
    """The document as the file has it."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _paths() -> Json:
    paths: Json = defaultdict(dict)
    for operation in OPERATIONS:
        paths[f"/{operation.function}"][operation.method] = _operation(operation)
    return dict(paths)


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "description": operation.description,
        "security": [{"signature": []}] if operation.is_signed else None,
        "parameters": _parameters(operation),
    }
    if operation.bodies:
        described["requestBody"] = {
            "required": True,
            "content": {
                JSON_TYPE: {"schema": _body(operation.bodies), "example": dict(operation.example)}
            },
        }
    described["responses"] = _answers(operation) | _problems(operation)
    return {name: value for name, value in described.items() if value}


def _body(models: tuple[type[BaseModel], ...]) -> Json:
    if len(models) == 1:
        return _ref(models[0])
    shapes: list[Json] = [_ref(model) for model in models]
    return {"anyOf": [*shapes, {"type": "array", "items": {"anyOf": shapes}}]}


def _operation_id(operation: Operation) -> str:
    """The function's name; with the method, where that is not its first one."""
    first = next(each for each in OPERATIONS if each.function == operation.function)
    return operation.function + ("" if operation is first else f"_{operation.method}")


def _parameters(operation: Operation) -> list[Json]:
    names = [REQUEST_ID_HEADER, *([KEY_HEADER] if operation.takes_key else [])]
    names += SIGNED_PARAMETERS if operation.is_signed else []
    parameters: list[Json] = [{"$ref": f"#/components/parameters/{name}"} for name in names]
    parameters += (
        {"name": name, "in": "query", **details} for name, details in operation.query.items()
    )
    if operation.formats:
        parameters.append(
            {
                "name": "format",
                "in": "query",
                "description": "Goes before the Accept header.",
                "schema": {"type": "string", "enum": list(operation.formats)},
            }
        )
    return parameters


def _answers(operation: Operation) -> Json:
    answers: Json = {}
    for status, model in operation.answers.items():
        content = {} if model is None else {JSON_TYPE: {"schema": _ref(model)}}
        for media_type in operation.text_types:
            content[media_type] = {"schema": {"type": "string"}}
        answers[str(status.value)] = _answer(operation, status, status.phrase, content)
    return answers


def _problems(operation: Operation) -> Json:
    by_status: dict[int, list[ProblemCode]] = defaultdict(list)
    for problem in operation.problems:
        by_status[problem.status].append(problem)
    return {
        str(status): _problem(operation, HTTPStatus(status), by_status[status])
        for status in sorted(by_status)
    }


def _problem(operation: Operation, status: HTTPStatus, problems: list[ProblemCode]) -> Json:
    schema = {
        "allOf": [_ref(Problem)],
        "properties": {
            "status": {"const": status.value},
            "code": {"enum": [problem.code for problem in problems]},
        },
    }
    meanings = " ".join(f"`{problem.code}`: {problem.meaning}" for problem in problems)
    # An answer to HEAD has the header fields of the answer to GET, and no body.
    content = {} if operation.method == "head" else {PROBLEM_TYPE: {"schema": schema}}
    return _answer(operation, status, meanings, content)


def _answer(operation: Operation, status: HTTPStatus, description: str, content: Json) -> Json:
    answer = {
        "description": description,
        "headers": answer_headers(
            status, takes_key=operation.takes_key, is_signed=operation.is_signed
        ),
    }
    return answer | ({"content": content} if content else {})


def _schemas() -> Json:
    bodies = {model for operation in OPERATIONS for model in operation.bodies}
    answers = {model for operation in OPERATIONS for model in operation.answers.values()} - {None}
    found = _schemas_of(bodies, "validation") | _schemas_of(answers | {Problem}, "serialization")
    for operation in OPERATIONS:
        for name, details in operation.fields.items():
            found[operation.bodies[0].__name__]["properties"][name] |= details
    return {name: _without_titles(found[name]) for name in sorted(found)}


def _schemas_of(models: Any, mode: JsonSchemaMode) -> Json:
    ordered: list[type[BaseModel]] = sorted(models, key=lambda model: model.__name__)
    _, schemas = models_json_schema(
        [(model, mode) for model in ordered], ref_template="#/components/schemas/{model}"
    )
    return dict(schemas["$defs"])


def _without_titles(schema: Any) -> Any:
    """Pydantic titles every field with its own name."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if isinstance(schema, dict):
        return {
            name: _without_titles(value)
            for name, value in schema.items()
            if not (name == "title" and isinstance(value, str))
        }
    return schema


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
