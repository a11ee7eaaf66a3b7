"""Requests with an idempotency key, through the functions and on the real stack."""

import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, Setting, new_address
from tools.serve.functions import application

Give = Callable[[Mapping[str, int]], None]

KEYS = {name: secrets.token_urlsafe(32) for name in ("ops", "other")}
DEADLINE_S = 10.0


@pytest.fixture
def client(environment: Setting, ledger_rows: LedgerTables) -> Client:  # noqa: ARG001
    lines = [ApiKey(name, Role.ADMIN, key_digest(key)).line() for name, key in KEYS.items()]
    environment(RECONCILE_API_KEYS=",".join(lines))
    return Client(application(), use_cookies=False)


@pytest.fixture
def user(contract_balances: Give, ledger_rows: LedgerTables) -> str:
    """Who has 1 in the contract and 2 in the ledger."""
    user = new_address()
    contract_balances({user: 1})
    ledger_rows.insert({user: 2})
    return user


def reconcile(client: Client, user: str, key: str = "key", name: str = "ops") -> TestResponse:
    return client.post(
        "/reconcile_user",
        json={"userAddress": user},
        headers={"Authorization": f"Bearer {KEYS[name]}", "Idempotency-Key": key},
    )


def test_a_user_is_reconciled_once_under_a_key(
    client: Client, user: str, ledger_rows: LedgerTables
) -> None:
    first, again = reconcile(client, user), reconcile(client, user)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.get_json()["outcome"] == "corrected"
    assert again.get_data() == first.get_data()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(ledger_rows.audit()) == 1

    other_user = reconcile(client, new_address())
    assert (other_user.status_code, other_user.get_json()["code"]) == (
        422,
        "idempotency_key_reused",
    )
    other_caller = reconcile(client, user, name="other")
    assert other_caller.get_json()["outcome"] == "in_sync"
    assert len(ledger_rows.audit()) == 2


def test_a_request_that_is_still_at_work_is_not_begun_again(
    client: Client, user: str, ledger_rows: LedgerTables
) -> None:
    with psycopg.connect(ledger_rows.url) as holder, ThreadPoolExecutor() as threads:
        holder.execute("select from public.user_balances for update")
        working = threads.submit(reconcile, client, user)
        _wait_for_a_waiter(holder)
        meanwhile = reconcile(client, user)
        holder.rollback()
        first = working.result(timeout=DEADLINE_S)

    assert (meanwhile.status_code, meanwhile.get_json()["code"]) == (
        409,
        "idempotency_key_in_flight",
    )
    assert 1 <= int(meanwhile.headers["Retry-After"]) <= 5
    assert first.get_json()["outcome"] == "corrected"
    assert reconcile(client, user).get_data() == first.get_data()
    assert len(ledger_rows.audit()) == 1


def test_many_at_once_reconcile_once(client: Client, user: str, ledger_rows: LedgerTables) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: reconcile(client, user), range(8)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    done = [answer for answer in answers if answer.status_code == 200]
    assert len({answer.get_data() for answer in done}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in done) == 1
    assert len(ledger_rows.audit()) == 1


def test_a_sweep_that_is_asked_for_again_is_the_same_run(client: Client, user: str) -> None:
    def sweep() -> TestResponse:
        return client.post(
            "/sweep",
            json={"dryRun": True},
            headers={"Authorization": f"Bearer {KEYS['ops']}", "Idempotency-Key": user},
        )

    first, again = sweep(), sweep()
    assert first.status_code == 200
    assert again.get_json()["run"]["runId"] == first.get_json()["run"]["runId"]
    assert again.headers["Idempotency-Replayed"] == "true"


def _wait_for_a_waiter(holder: psycopg.Connection) -> None:
    deadline = time.monotonic() + DEADLINE_S
    query = "select pid from pg_locks where pg_backend_pid() = any(pg_blocking_pids(pid))"
    while not holder.execute(query).fetchone():
        assert time.monotonic() < deadline, "nobody ever waited"
        time.sleep(0.02)
