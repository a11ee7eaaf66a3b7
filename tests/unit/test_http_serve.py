"""The functions side by side under one address, as `make serve` has them."""

import json
from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from tests.unit.serving import served
from tools.serve.functions import FUNCTIONS, application


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    with served(monkeypatch):
        yield Client(application())


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_each_function_sees_its_own_root(client: Client, name: str, slash: str) -> None:
    response = client.options(f"/{name}{slash}")
    assert response.status_code == 405
    assert (
        response.headers["Allow"]
        == {
            "reconcile_user": "POST",
            "sweep": "POST",
            "dry_run_report": "GET, HEAD",
            "indexer_webhook": "POST",
        }[name]
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_nothing_below_its_root(client: Client, name: str) -> None:
    response = client.get(f"/{name}/x")
    assert response.status_code == 404
    assert json.loads(response.get_data())["code"] == "not_found"


def test_there_is_nothing_elsewhere(client: Client) -> None:
    assert client.get("/").status_code == 404
    assert client.get("/reconcile_users").status_code == 404
