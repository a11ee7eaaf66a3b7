"""What guards every page of the dashboard, its own and those of actions: session, token, role."""

import re
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from werkzeug.test import TestResponse

from shared.core.access import Permission
from shared.core.errors import LedgerUnreachable, RunActive
from shared.dashboard.headers import CONTENT_SECURITY_POLICY
from shared.dashboard.routing import Route
from shared.dashboard.site import FORM_BYTES_MAX, router
from tests.unit.dashboard_client import (
    HOST,
    VIEWER_KEY,
    Browser,
    FakeRuns,
    FakeServices,
    check,
    dashboard,
    new_browser,
    text_of,
)
from tests.unit.runs import RUN_ID, run
from tests.unit.serving import KEY, SECRET

FOREIGN: tuple[dict[str, str], ...] = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": f"http://{HOST}.evil.example"},
    {"Origin": "http://127.0.0.1:9999"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "cross-site"},
)
SAME_SITE = {"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}


def example(route: Route) -> str:
    """A path that leads to the route."""
    path = re.sub(r"\{[a-z_]+:uuid\}", str(RUN_ID), route.path)
    return re.sub(r"\{[^}]+\}", "0xf8d6e0586b0a20c7", path)


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


ROUTES = router().routes
POSTS = [route for route in ROUTES if route.method == "POST"]
ACTIONS = [route for route in POSTS if route.permission is not None]
PAGES = [route for route in ROUTES if route.method == "GET" and route.permission is not None]


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(runs=FakeRuns([run()]))


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch, services: FakeServices) -> Iterator[Browser]:
    services.solvency.next_check = check()
    with dashboard(monkeypatch, services) as made:
        yield made


def assert_hardened(response: TestResponse) -> None:
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["X-Request-Id"]


def refused(response: TestResponse, code: str) -> None:
    assert response.status_code == 403
    assert response.mimetype == "text/html"
    assert code in response.text
    assert_hardened(response)


def test_the_policy_lets_nothing_in_from_elsewhere_and_nothing_inline() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'none'"
    assert rules["base-uri"] == "'none'"
    assert rules["form-action"] == "'self'"
    assert set(rules.values()) == {"'none'", "'self'"}


# -- each page, each form ------------------------------------------------------------------------


@pytest.mark.parametrize("route", PAGES, ids=named)
def test_a_page_is_for_those_who_have_signed_in(browser: Browser, route: Route) -> None:
    response = browser.get(example(route))
    assert response.status_code == 303
    assert response.headers["Location"].startswith("/sign-in?next=%2F")
    assert response.headers["Cache-Control"] == "no-store"
    assert_hardened(response)


@pytest.mark.parametrize("route", ACTIONS, ids=named)
def test_a_form_of_somebody_who_has_not_signed_in_does_nothing(
    browser: Browser, route: Route
) -> None:
    response = browser.post(example(route))
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in")
    assert "nothing was done" in text_of(browser.get("/sign-in"))


@pytest.mark.parametrize("route", POSTS, ids=named)
def test_a_form_needs_its_token(browser: Browser, route: Route) -> None:
    browser.sign_in()
    for token in ("", "0" * 80, "x", "é" * 80):
        response = browser.post(example(route), token=token, reason="a reason")
        refused(response, "form_refused")


@pytest.mark.parametrize("route", POSTS, ids=named)
def test_a_form_made_for_another_session_is_refused(browser: Browser, route: Route) -> None:
    other = new_browser(browser.services)
    other.sign_in()
    browser.sign_in()
    refused(browser.post(example(route), token=other.token()), "form_refused")


@pytest.mark.parametrize("route", POSTS, ids=named)
def test_a_form_made_before_the_sign_in_is_refused_after_it(browser: Browser, route: Route) -> None:
    before = browser.token()
    browser.sign_in()
    refused(browser.post(example(route), token=before), "form_refused")


@pytest.mark.parametrize("route", POSTS, ids=named)
def test_a_form_from_another_site_is_refused_even_with_its_token(
    browser: Browser, route: Route
) -> None:
    browser.sign_in()
    for headers in FOREIGN:
        refused(browser.post(example(route), headers=headers), "form_refused")


@pytest.mark.parametrize("route", ACTIONS, ids=named)
def test_a_viewer_acts_on_nothing(browser: Browser, route: Route) -> None:
    browser.sign_in(VIEWER_KEY)
    response = browser.post(example(route))
    refused(response, "forbidden")
    assert "The role viewer may not do this" in text_of(response)


def test_every_form_that_acts_is_for_admins() -> None:
    assert {route.permission for route in ACTIONS} == {Permission.WRITE}
    assert {route.path for route in POSTS if route.permission is None} == {
        "/sign-in/key",
        "/sign-in/email",
        "/sign-out",
    }


def test_a_viewer_sees_no_form_but_the_one_to_sign_out(browser: Browser) -> None:
    browser.services.solvency.checks = [check()]
    browser.sign_in(VIEWER_KEY)
    for path in ("/", "/runs", f"/runs/{RUN_ID}", "/solvency", "/alerts"):
        page = browser.get(path)
        assert page.status_code == 200, path
        assert re.findall(r'<form[^>]*method="post"[^>]*action="([^"]*)"', page.text) == [
            "/sign-out"
        ]


def test_a_client_that_says_nothing_of_its_origin_needs_the_token_alone(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.post("/solvency/check", headers={})
    assert answer.headers["Location"] == "/solvency"
    assert browser.services.solvency.asked[0][0] == "tester"


def test_a_body_that_is_no_form_is_refused(browser: Browser) -> None:
    browser.sign_in()
    response = browser.client.post(
        "/solvency/check", base_url=f"http://{HOST}", json={}, headers=SAME_SITE
    )
    assert response.status_code == 415
    assert_hardened(response)


def test_a_form_that_is_too_large_is_refused(browser: Browser) -> None:
    browser.sign_in()
    response = browser.post("/solvency/check", reason="x" * (FORM_BYTES_MAX + 1))
    assert response.status_code == 413
    assert not browser.services.solvency.asked


def test_each_page_has_another_token_and_all_are_good(browser: Browser) -> None:
    browser.sign_in()
    first, second = browser.token(), browser.token()
    assert first != second
    for token in (second, first):
        assert browser.post("/solvency/check", token=token).status_code == 303


# -- limits, errors, other methods ---------------------------------------------------------------


def test_pages_count_for_the_limit_of_requests(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    browser.sign_in()
    monkeypatch.setenv("RECONCILE_REQUESTS_PER_MIN", "2")
    settings.cache_clear()
    assert browser.get("/runs").status_code == 200
    assert browser.get("/runs").status_code == 200
    response = browser.get("/runs")
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "42"
    assert "Too many requests" in text_of(response)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "POST"])
def test_other_methods_are_refused(browser: Browser, method: str) -> None:
    browser.sign_in()
    response = browser.client.open("/runs", method=method, base_url=f"http://{HOST}")
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET"
    assert_hardened(response)


def test_head_has_no_body(browser: Browser) -> None:
    browser.sign_in()
    response = browser.client.head("/runs", base_url=f"http://{HOST}")
    assert (response.status_code, response.get_data()) == (200, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/runs/",
        "/runs/x",
        f"/runs/{str(RUN_ID).upper()}",
        f"/runs/{RUN_ID}/x/y",
        "/x//runs",
        "/robots.txt",
        "/favicon.ico",
        "/static/style.css",
        "/assets/",
        "/assets/style.css",
        "/assets/../session.py",
        "/assets/..%2Fsession.py",
        "/assets/%2e%2e/%2e%2e/settings.py",
        "/assets//etc/passwd",
        "/assets/style.0123456789abcdef.css",
    ],
)
def test_what_there_is_not_is_a_page_that_says_so(browser: Browser, path: str) -> None:
    browser.sign_in()
    response = browser.get(path)
    assert response.status_code == 404
    assert "There is no such" in response.text
    assert_hardened(response)


def test_a_run_that_there_is_not_is_not_found(browser: Browser) -> None:
    browser.sign_in()
    response = browser.get("/runs/00000000-0000-0000-0000-000000000000")
    assert response.status_code == 404
    assert "there is no run" in text_of(response)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (LedgerUnreachable("the ledger is away", remedy="Look at it."), 503, "the ledger is away"),
        (RunActive("run x is active", remedy="Wait for it."), 409, "run x is active"),
        (RuntimeError(SECRET), 500, "Something went wrong"),
        (KeyError(SECRET), 500, "Something went wrong"),
    ],
)
def test_an_error_is_a_page_without_secrets(
    browser: Browser, error: Exception, status: int, said: str
) -> None:
    browser.sign_in()
    browser.services.runs.failing = error
    for path in ("/", "/runs", f"/runs/{RUN_ID}"):
        response = browser.get(path)
        assert response.status_code == status
        assert said in text_of(response)
        assert SECRET not in response.text
        assert 'aria-label="Main"' in response.text, "one can go on from there"
        assert_hardened(response)


def test_a_page_that_cannot_be_made_is_a_bare_one(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.dashboard.visit import Visit

    monkeypatch.setattr(Visit, "page", Mock(side_effect=RuntimeError(SECRET)))
    response = browser.get("/sign-in")
    assert response.status_code == 500
    assert "The dashboard cannot show this" in text_of(response)
    assert SECRET not in response.text
    assert_hardened(response)


def test_without_anything_to_check_callers_by_nobody_is_served(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    monkeypatch.delenv("RECONCILE_API_KEYS")
    settings.cache_clear()
    response = browser.get("/sign-in")
    assert response.status_code == 503
    assert_hardened(response)


# -- the files that pages are made of ------------------------------------------------------------


def asset(browser: Browser, kind: str) -> str:
    (found,) = set(
        re.findall(rf'"(/assets/[a-z]+\.[0-9a-f]+\.{kind})"', browser.get("/sign-in").text)
    )
    return str(found)


@pytest.mark.parametrize(
    ("kind", "mimetype"),
    [("css", "text/css"), ("js", "text/javascript"), ("svg", "image/svg+xml")],
)
def test_files_are_for_everybody_and_kept_for_good(
    browser: Browser, kind: str, mimetype: str
) -> None:
    path = asset(browser, kind)
    response = browser.get(path)
    assert (response.status_code, response.mimetype) == (200, mimetype)
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "Set-Cookie" not in response.headers
    assert_hardened(response)

    again = browser.get(path, **{"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (304, b"")
    assert_hardened(again)
    assert browser.client.post(path, base_url=f"http://{HOST}").status_code == 404


def test_pages_are_never_kept(browser: Browser) -> None:
    assert browser.get("/sign-in").headers["Cache-Control"] == "no-store"
    browser.sign_in(KEY)
    assert browser.get("/runs").headers["Cache-Control"] == "no-store"


def test_pages_fetch_nothing_from_elsewhere_and_have_nothing_inline(browser: Browser) -> None:
    browser.services.solvency.checks = [check(number) for number in range(3)]
    browser.sign_in()
    for path in ("/", "/runs", f"/runs/{RUN_ID}", "/solvency", "/alerts"):
        page = browser.get(path).text
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', page), path
        assert not re.findall(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page), path
