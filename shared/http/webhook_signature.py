"""Standard Webhooks (standardwebhooks.com): is a message signed by one of our secrets, and of now?

Whatever is wrong with the signature is a 401, and its text does not help to forge one.
"""

import hmac
import re
from datetime import UTC, datetime

from flask import Request
from standardwebhooks import Webhook

from shared.http.json_body import read_bytes
from shared.http.problem import Problem
from shared.settings import Settings

BODY_BYTES_MAX = 6 * 1024 * 1024
"""Room for ten thousand events; Lambda itself takes no more."""
MESSAGE_ID_CHARS_MAX = 200

_ID, _TIMESTAMP, _SIGNATURE = "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"
_UNIX_TIME = re.compile(r"[0-9]{1,11}", re.ASCII)
_MESSAGE_ID = re.compile(rf"[\x21-\x7e]{{1,{MESSAGE_ID_CHARS_MAX}}}")


def signed_message(request: Request, settings: Settings) -> tuple[str, bytes]:
    """A message's id and its body. Raises Problem: 503 without a secret, 401, 413, 400."""
    secrets = [each.get_secret_value() for each in settings.reconcile_webhook_secrets]
    if not secrets:
        raise Problem(
            503,
            "not_configured",
            "This function has no secret to check messages by. Set RECONCILE_WEBHOOK_SECRETS and "
            "deploy again.",
        )
    message_id = _header(request, _ID)
    signed_at = _signed_at(_header(request, _TIMESTAMP), settings.reconcile_webhook_tolerance_s)
    given = _header(request, _SIGNATURE).split(" ")
    body = read_bytes(request, BODY_BYTES_MAX)
    if not any(_is_signed(message_id, signed_at, body, secret, given) for secret in secrets):
        raise _unauthorized("No signature of the message is one of ours")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Problem(
            400,
            "invalid_webhook_id",
            f"The header {_ID} is not 1 to {MESSAGE_ID_CHARS_MAX} printable ASCII characters. "
            "Send a UUID, for example.",
        )
    return message_id, body


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise _unauthorized(f"The header {name} is missing")
    return value


def _signed_at(timestamp: str, tolerance_s: float) -> datetime:
    if not _UNIX_TIME.fullmatch(timestamp):
        raise _unauthorized(f"The header {_TIMESTAMP} is no time in Unix seconds")
    age_s = datetime.now(UTC).timestamp() - int(timestamp)
    if abs(age_s) > tolerance_s:
        relation = "before" if age_s > 0 else "after"
        raise _unauthorized(f"The message was signed too long {relation} the time of this function")
    return datetime.fromtimestamp(int(timestamp), UTC)


def _is_signed(
    message_id: str, signed_at: datetime, body: bytes, secret: str, given: list[str]
) -> bool:
    """Is one of the signatures ours? Compared in constant time, as they are written."""
    try:
        expected = Webhook(secret).sign(message_id, signed_at, body.decode()).encode()
    except ValueError:  # the body is not UTF-8, or a header cannot be encoded
        return False
    return any(hmac.compare_digest(expected, _wire_bytes(each)) for each in given)


def _wire_bytes(header: str) -> bytes:
    # WSGI decodes headers as Latin-1; what cannot be encoded back did not come over a wire.
    return header.encode("latin-1", errors="xmlcharrefreplace")


def _unauthorized(fault: str) -> Problem:
    return Problem(
        401,
        "unauthorized",
        f"{fault}. Sign it as Standard Webhooks says, with a secret of RECONCILE_WEBHOOK_SECRETS.",
        headers={"WWW-Authenticate": 'StandardWebhooks realm="reconcile"'},
    )
