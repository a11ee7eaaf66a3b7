"""Admin access on the real stack: who is let in is who the audit log names, as often as allowed."""

from collections.abc import Iterator
from pathlib import Path

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, Setting, new_address
from tests.unit.tokens import JWT_SECRET, es256_key, hs256, jwks_server, public_jwk, signed

SOURCE = Path(__file__).parents[2] / "functions" / "reconcile_user.py"
KEY = "a-delegates-key-with-more-than-32-letters"
PER_MIN = 3


@pytest.fixture
def client(environment: Setting, ledger_rows: LedgerTables) -> Iterator[Client]:
    environment(
        RECONCILE_API_KEYS=ApiKey("ops", Role.DELEGATE, key_digest(KEY)).line(),
        SUPABASE_JWT_SECRET=JWT_SECRET,
        SUPABASE_JWT_ISSUER="http://127.0.0.1:9/auth/v1",
        RECONCILE_REQUESTS_PER_MIN=str(PER_MIN),
        # functions_framework.create_app leaves these behind.
        FUNCTION_TARGET="",
        FUNCTION_SIGNATURE_TYPE="http",
    )
    yield Client(functions_framework.create_app("reconcile_user", str(SOURCE)))  # type: ignore[no-untyped-call]
    ledger_rows.clean()


def post(client: Client, token: str, user: str, admin: str | None = None) -> TestResponse:
    body = {"userAddress": user, **({"adminAddress": admin} if admin else {})}
    return client.post("/", json=body, headers={"Authorization": f"Bearer {token}"})


def test_the_audit_log_names_the_caller(
    client: Client, environment: Setting, ledger_rows: LedgerTables
) -> None:
    user, key = new_address(), es256_key()
    with jwks_server() as server:
        server.keys = [public_jwk(key, "one")]
        environment(SUPABASE_JWKS_URL=server.url)
        bob = signed(key, "one", email="bob@example.com")
        asked = [(KEY, None), (KEY, "0x01cf0e2f2f715450"), (hs256(), None), (bob, None)]
        statuses = [post(client, token, user, admin).status_code for token, admin in asked]
    assert statuses == [200] * 4
    assert [row.transaction_hash for row in ledger_rows.audit()] == [
        f"reconciliation_by_{name}"
        for name in ("ops", "0x01cf0e2f2f715450 by ops", "alice@example.com", "bob@example.com")
    ]


def test_each_caller_has_so_many_requests_a_minute(
    client: Client, ledger_rows: LedgerTables
) -> None:
    user = new_address()
    responses = [post(client, KEY, user) for _ in range(PER_MIN + 1)]
    assert [each.status_code for each in responses] == [200] * PER_MIN + [429]
    assert 1 <= int(responses[-1].headers["Retry-After"]) <= 60
    assert post(client, hs256(), user).status_code == 200
    assert len(ledger_rows.audit()) == PER_MIN + 1


def test_nobody_is_let_in_when_requests_cannot_be_counted(
    client: Client, environment: Setting, ledger_rows: LedgerTables
) -> None:
    environment(SUPABASE_REST_URL="http://127.0.0.1:9", SUPABASE_URL="http://127.0.0.1:9")
    response = post(client, KEY, new_address())
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert not ledger_rows.audit()
