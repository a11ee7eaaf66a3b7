"""What the ledger's adapter makes of answers that are not those of our procedures."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from supabase import Client, ClientOptions, create_client

from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.core.amount import FlowAmount
from shared.core.errors import LedgerBadAnswer, LedgerTimeout, LedgerUnauthorized
from shared.ports.ledger import Correction

CORRECTION = Correction(
    user_address="0xf8d6e0586b0a20c7",
    contract_balance=FlowAmount(1),
    expected_balance=FlowAmount(0),
)
Answering = Callable[[Callable[[httpx.Request], httpx.Response]], SupabaseLedger]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A ledger whose server answers as told."""
    opened: list[httpx.Client] = []

    def make(handler: Callable[[httpx.Request], httpx.Response]) -> SupabaseLedger:
        hooks = _hooks_of_connect()
        http = httpx.Client(transport=httpx.MockTransport(handler), event_hooks=hooks)
        opened.append(http)
        options = ClientOptions(httpx_client=http, auto_refresh_token=False)
        return SupabaseLedger(create_client("http://ledger.test", "k" * 20, options))

    yield make
    for http in opened:
        http.close()


def _hooks_of_connect() -> dict[str, list[Callable[..., Any]]]:
    client: Client = connect(
        url="http://ledger.test", service_role_key="k" * 20, rest_url=None, timeout_s=1
    )
    http = client.options.httpx_client
    assert http is not None
    http.close()
    return http.event_hooks


@pytest.mark.parametrize("answer", [None, {}, [], "text", 1.5, {"success": True}])
def test_an_answer_of_another_shape_is_a_bad_answer_and_no_crash(
    answering: Answering, answer: object
) -> None:
    ledger = answering(lambda request: httpx.Response(200, json=answer))
    for call in (
        ledger.count_users,
        lambda: ledger.list_balances(None, 10),
        lambda: ledger.get_balances(["0xf8d6e0586b0a20c7"]),
        lambda: ledger.correct_user(
            CORRECTION, block_height=1, admin_address="ADMIN", run_id=uuid4()
        ),
        lambda: ledger.correct_users(
            [CORRECTION], block_height=1, admin_address="ADMIN", run_id=uuid4()
        ),
    ):
        with pytest.raises(LedgerBadAnswer):
            call()


def test_lists_of_unequal_length_are_no_page(answering: Answering) -> None:
    page = {"user_addresses": ["0xf8d6e0586b0a20c7"], "balances": []}
    with pytest.raises(LedgerBadAnswer):
        answering(lambda request: httpx.Response(200, json=page)).list_balances(None, 10)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gateway_that_refuses_the_key_without_a_code_is_told_by_its_status(
    answering: Answering, status: int
) -> None:
    refusal = {"message": "Invalid API key"}
    with pytest.raises(LedgerUnauthorized, match="SUPABASE_SERVICE_ROLE_KEY"):
        answering(lambda request: httpx.Response(status, json=refusal)).count_users()


def test_a_silent_server_is_a_timeout(answering: Answering) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("silent", request=request)

    with pytest.raises(LedgerTimeout):
        answering(silent).count_users()
