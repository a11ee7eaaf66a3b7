"""The functions side by side under one address, as `make serve` has them."""

import json
from collections.abc import Iterator

import pytest
from werkzeug.test import Client

from tests.unit.dashboard_client import SESSION_SECRET
from tests.unit.serving import served
from tools.serve.functions import FUNCTIONS, application


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("RECONCILE_SESSION_SECRET", SESSION_SECRET)
    with served(monkeypatch):
        yield Client(application())


METHODS = {
    "reconcile_user": "POST",
    "rollback": "POST",
    "holds": "GET, POST",
    "sweep": "POST",
    "dry_run_report": "GET, HEAD",
    "report": "GET, HEAD",
    "solvency": "GET, POST",
    "verify_audit": "GET, POST",
    "watchdog": "POST",
    "indexer_webhook": "POST",
}


def test_what_is_tested_here_is_what_is_served() -> None:
    assert {*METHODS, "dashboard"} == set(FUNCTIONS)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_each_function_sees_its_own_root(client: Client, name: str, slash: str) -> None:
    response = client.options(f"/{name}{slash}")
    assert response.status_code == 405
    assert response.headers["Allow"] == METHODS[name]


@pytest.mark.parametrize("name", METHODS)
def test_a_function_has_nothing_below_its_root(client: Client, name: str) -> None:
    response = client.get(f"/{name}/x")
    assert response.status_code == 404
    assert json.loads(response.get_data())["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "status", "leads_to"),
    [
        ("", 303, "/dashboard/sign-in?next=%2F"),
        ("/", 303, "/dashboard/sign-in?next=%2F"),
        ("/sign-in", 200, None),
        ("/runs", 303, "/dashboard/sign-in?next=%2Fruns"),
        ("/x", 404, None),
    ],
)
def test_the_dashboard_has_pages_below_its_root(
    client: Client, path: str, status: int, leads_to: str | None
) -> None:
    response = client.get(f"/dashboard{path}")
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert response.headers.get("Location") == leads_to


def test_there_is_nothing_elsewhere(client: Client) -> None:
    assert client.get("/").status_code == 404
    assert client.get("/reconcile_users").status_code == 404
