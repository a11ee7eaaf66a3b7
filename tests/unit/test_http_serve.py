"""The functions side by side under one address, as `make serve` has them."""

import json

import pytest
from werkzeug.test import Client

from shared import bootstrap
from tools.serve import FUNCTIONS, application

KEY = "test-key-0123456789"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, value in {
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SERVICE_ROLE_KEY": "service-role-0123456789",
        "FLOW_ACCESS_NODE": "127.0.0.1:9",
        "FLOW_CONTRACT_ADDRESS": "0xf8d6e0586b0a20c7",
        "RECONCILE_API_KEY": KEY,
        # create_app leaves these behind.
        "FUNCTION_TARGET": "",
        "FUNCTION_SIGNATURE_TYPE": "http",
    }.items():
        monkeypatch.setenv(name, value)
    bootstrap.reset()
    return Client(application())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_each_function_sees_its_own_root(client: Client, name: str, slash: str) -> None:
    response = client.options(f"/{name}{slash}")
    assert response.status_code == 405
    assert response.headers["Allow"] == {
        "reconcile_user": "POST",
        "dry_run_report": "GET, HEAD",
    }.get(name, response.headers["Allow"])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_nothing_below_its_root(client: Client, name: str) -> None:
    response = client.get(f"/{name}/x")
    assert response.status_code == 404
    assert json.loads(response.get_data())["code"] == "not_found"


def test_there_is_nothing_elsewhere(client: Client) -> None:
    assert client.get("/").status_code == 404
    assert client.get("/reconcile_users").status_code == 404
