"""What docs/openapi.json allows and forbids, sent to the functions over the real stack.

Schemathesis makes the requests. No answer may be a server error, or other than the document says.
"""

import io
import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import (
    negative_data_rejection,
    not_a_server_error,
    positive_data_acceptance,
)
from standardwebhooks import Webhook
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, Setting, new_addresses
from tools.openapi.__main__ import PATH
from tools.serve.functions import application

Give = Callable[[Mapping[str, int]], None]

EXAMPLES_MAX = 40
"""Random requests for each operation, beside those for every limit that the document has."""
KEY = secrets.token_urlsafe(32)
WEBHOOK_SECRET = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
TO_SIGN = "to be signed"
HEADERS = {"Authorization": f"Bearer {KEY}", "Webhook-Signature": TO_SIGN}
# What fits the schema may still be refused: an admin of blanks, an event without an address.
LEFT_OUT = [positive_data_acceptance]
# An event of a type that nobody asked about is ignored, whatever else is wrong with it; and one
# from a block that is not there yet is asked for again.
LEFT_OUT_OF_WEBHOOK = [positive_data_acceptance, negative_data_rejection, not_a_server_error]
SERVED: list[DispatcherMiddleware] = []
"""The functions, while a test has them on its stack."""


_ID = re.compile("[!-~]{1,200}")
_UNIX_TIME = re.compile("[0-9]{1,11}")


def served(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Hands a request to the functions, under an id of its own, signed if it asks for that."""
    for name in ("HTTP_IDEMPOTENCY_KEY", "HTTP_WEBHOOK_ID"):
        if _ID.fullmatch(environ.get(name, "")):
            environ[name] = secrets.token_urlsafe()
    if environ.get("HTTP_WEBHOOK_SIGNATURE") == TO_SIGN:
        _sign(environ)
    return SERVED[0](environ, start_response)


def _sign(environ: WSGIEnvironment) -> None:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    now = datetime.now(UTC)
    if _UNIX_TIME.fullmatch(environ.get("HTTP_WEBHOOK_TIMESTAMP", "")):
        environ["HTTP_WEBHOOK_TIMESTAMP"] = str(int(now.timestamp()))
    message_id = environ.get("HTTP_WEBHOOK_ID", "")
    text = body.decode(errors="replace")
    environ["HTTP_WEBHOOK_SIGNATURE"] = Webhook(WEBHOOK_SECRET).sign(message_id, now, text)


documented = schemathesis.openapi.from_path(str(PATH))
documented.app = served


@pytest.fixture
def functions(
    environment: Setting, ledger_rows: LedgerTables, contract_balances: Give
) -> Iterator[None]:
    """The functions, on a ledger of a few users."""
    users = new_addresses(3)
    contract_balances(dict.fromkeys(users, 100))
    ledger_rows.insert(dict.fromkeys(users, 99))
    environment(
        RECONCILE_API_KEYS=ApiKey("fuzz", Role.DELEGATE, key_digest(KEY)).line(),
        RECONCILE_REQUESTS_PER_MIN="0",
        RECONCILE_HALT_MIN_USERS="1000",
        RECONCILE_WEBHOOK_SECRETS=WEBHOOK_SECRET,
        FLOW_EVENTS="A.f8d6e0586b0a20c7.OverflowGame.Deposited",
    )
    SERVED.append(application())
    yield
    SERVED.clear()


@documented.parametrize()
@settings(
    max_examples=EXAMPLES_MAX,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.usefixtures("functions")
def test_answers_are_what_the_document_says(case: Case[Any]) -> None:
    is_webhook = case.path == "/indexer_webhook"
    left_out = LEFT_OUT_OF_WEBHOOK if is_webhook else LEFT_OUT
    answer = case.call_and_validate(headers=HEADERS, excluded_checks=left_out)
    if answer.status_code >= 500:
        assert answer.json()["code"] == "contract_height_unavailable"
