"""Events as AWS sends them to functions, whole."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

Event = dict[str, Any]


def api_event(
    function: str,
    body: bytes | None = None,
    *,
    method: str = "POST",
    stage: str = "test",
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    below: str = "",
) -> Event:
    """API Gateway's, of a REST API's proxy integration that takes every body for binary.

    `below` is a path below the function's, of its resource with `{proxy+}`: `runs/x`.
    """
    resource = f"/{function}/{{proxy+}}" if below else f"/{function}"
    path = f"/{function}/{below}" if below else f"/{function}"
    sent = {
        "Accept": "*/*",
        "Host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "curl/8.5.0",
        "X-Amzn-Trace-Id": "Root=1-6a0b8d1f-2c5d0e9f1a7b4c3d5e6f7a8b",
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
    }
    if body is not None:
        sent["Content-Type"] = "application/json"
    sent |= headers or {}
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query
        and {name: [value] for name, value in query.items()},
        "pathParameters": {"proxy": below} if below else None,
        "stageVariables": None,
        "requestContext": {
            "resourceId": "kkcxsu",
            "resourcePath": resource,
            "httpMethod": method,
            "extendedRequestId": "K7x2mFk0oAMEd9A=",
            "requestTime": "23/Nov/2026:14:07:30 +0000",
            "path": f"/{stage}{path}",
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": stage,
            "domainPrefix": "a1b2c3d4e5",
            "requestTimeEpoch": 1795442850123,
            "requestId": "7d3f5a0e-6a57-4a3e-9b1d-3f0a5f0f9c11",
            "identity": {"sourceIp": "203.0.113.7", "userAgent": "curl/8.5.0", "apiKey": None},
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "apiId": "a1b2c3d4e5",
        },
        "body": None if body is None else b64encode(body).decode(),
        "isBase64Encoded": body is not None,
    }


def rule_event(rule_arn: str) -> Event:
    """EventBridge's, of a rule on a schedule whose target has no input of its own."""
    return {
        "version": "0",
        "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [rule_arn],
        "detail": {},
    }


def queue_event(messages: list["MessageTypeDef"], queue_arn: str) -> Event:
    """The event source mapping's, of messages received from SQS."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": dict(message.get("Attributes", {})),
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": "us-east-1",
            }
            for message in messages
        ]
    }


def as_json(value: object) -> bytes:
    """A body."""
    return json.dumps(value).encode()
