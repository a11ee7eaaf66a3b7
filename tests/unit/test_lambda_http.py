"""API Gateway's events become requests, and a view's responses its answers."""

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest
from flask import Request, Response

from shared.http import lambda_http
from shared.http.lambda_http import Event, is_http, lambda_handler


def event(path: str = "/echo", method: str = "POST", **fields: Any) -> Event:
    """What a REST API's proxy integration sends, shortened."""
    return {
        "resource": "/echo",
        "path": path,
        "httpMethod": method,
        "headers": None,
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "body": None,
        "isBase64Encoded": False,
        **fields,
    }


def echo(request: Request) -> Response:
    """What the view was given, as JSON."""
    seen = {
        "method": request.method,
        "path": request.path,
        "root": request.script_root,
        "query": request.args.to_dict(flat=False),
        "authorization": request.headers.get("Authorization"),
        "type": request.content_type,
        "body": list(request.get_data()),
    }
    return Response(json.dumps(seen), 202, content_type="application/json")


def echoed(sent: Event) -> dict[str, Any]:
    answer = lambda_handler(echo)(sent, None)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (202, False)
    seen: dict[str, Any] = json.loads(answer["body"])
    return seen


def answered(response: Response) -> dict[str, Any]:
    """What Lambda gets of a view's response."""
    return lambda_handler(lambda request: response)(event(multiValueHeaders={}), None)


def test_the_view_sees_the_request() -> None:
    headers = {"Authorization": ["Bearer k"], "content-type": ["application/json"]}
    query = {"format": ["csv"], "a&b": ["1 2", "ü"]}
    seen = echoed(
        event(multiValueHeaders=headers, multiValueQueryStringParameters=query, body='{"a": "ü"}')
    )
    assert seen == {
        "method": "POST",
        "path": "/",
        "root": "/echo",
        "query": query,
        "authorization": "Bearer k",
        "type": "application/json",
        "body": list('{"a": "ü"}'.encode()),
    }


@pytest.mark.parametrize("path", ["/echo", "/echo/", "/a-domains-base/echo", "/"])
def test_a_function_is_at_the_root_wherever_the_api_has_it(path: str) -> None:
    assert echoed(event(path))["path"] == "/"


def test_a_body_of_bytes_arrives_as_it_was_sent() -> None:
    sent = bytes(range(256))
    seen = echoed(event(body=b64encode(sent).decode(), isBase64Encoded=True))
    assert bytes(seen["body"]) == sent


def test_an_event_without_headers_query_and_body_is_a_request_too() -> None:
    assert echoed(event(method="GET"))["body"] == []


def test_text_is_answered_as_text_and_bytes_as_base64() -> None:
    assert answered(Response("ü,1\n", content_type="text/csv"))["body"] == "ü,1\n"

    answer = answered(Response(b"%PDF\xff", content_type="application/pdf"))
    assert (answer["isBase64Encoded"], b64decode(answer["body"])) == (True, b"%PDF\xff")


def test_headers_that_are_there_twice_are_answered_twice() -> None:
    answer = answered(Response("", headers=[("Vary", "Accept"), ("Vary", "Origin")]))
    assert answer["multiValueHeaders"]["Vary"] == ["Accept", "Origin"]


def test_a_stream_is_answered_whole_and_closed() -> None:
    closed: list[bool] = []
    response = Response(iter([b"a", b"b"]), content_type="text/csv")
    response.call_on_close(lambda: closed.append(True))

    assert answered(response)["body"] == "ab"
    assert closed == [True]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        pytest.param("a" * (lambda_http.ANSWER_BYTES_MAX - 2), 200, id="fits"),
        pytest.param("a" * (lambda_http.ANSWER_BYTES_MAX - 1), 500, id="a byte too many"),
        pytest.param('"' * (lambda_http.ANSWER_BYTES_MAX // 2), 500, id="too many when escaped"),
    ],
)
def test_an_answer_that_lambda_would_not_take_is_a_problem(text: str, status: int) -> None:
    answer = answered(Response(text, content_type="text/csv"))
    assert answer["statusCode"] == status
    if status == 500:
        assert json.loads(answer["body"])["code"] == "answer_too_large"
        assert len(json.dumps(answer)) < 1_000


@pytest.mark.parametrize("given", [{}, {"incremental": True}, {"detail-type": "Scheduled Event"}])
def test_a_schedules_input_is_no_request(given: Event) -> None:
    assert not is_http(given)
    assert is_http(event())


@pytest.mark.parametrize(
    ("path", "below", "whole", "root", "own"),
    [
        ("/echo", None, "/dev/echo", "/dev/echo", "/"),
        ("/echo/", None, "/dev/echo/", "/dev/echo", "/"),
        ("/echo/runs/7", "runs/7", "/dev/echo/runs/7", "/dev/echo", "/runs/7"),
        ("/echo/echo/echo", "echo/echo", "/echo/echo/echo/echo", "/echo/echo", "/echo/echo"),
        ("/base/echo/runs", "runs", "/base/echo/runs", "/base/echo", "/runs"),
        ("/base/echo", None, "/base/echo", "/base/echo", "/"),
        ("/echo/users/a%20b", "users/a b", "/dev/echo/users/a%20b", "/dev/echo", "/users/a b"),
        ("/echo/users/a%2Fb", "users/a%2Fb", "/dev/echo/users/a%2Fb", "/dev/echo", "/users/a/b"),
        ("/echo//runs", "/runs", "/dev/echo//runs", "/dev/echo", "/runs"),
        ("/echo/runs", "runs", None, "/echo", "/runs"),
    ],
)
def test_a_function_with_paths_of_its_own_knows_where_a_browser_sees_it(
    path: str, below: str | None, whole: str | None, root: str, own: str
) -> None:
    sent = event(
        path,
        pathParameters=None if below is None else {"proxy": below},
        requestContext={} if whole is None else {"path": whole, "stage": "dev"},
    )
    answer = lambda_handler(echo, sub_paths=True)(sent, None)
    seen = json.loads(answer["body"])
    assert (seen["root"], seen["path"]) == (root, own)
