"""Signing in and out of the dashboard: who gets in, how often one may try, where one ends up."""

import logging
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from tests.gotrue import EMAIL, PASSWORD, GoTrue, gotrue
from tests.unit.dashboard_client import (
    DELEGATE_KEY,
    VIEWER_KEY,
    Browser,
    FakeServices,
    dashboard,
    new_browser,
    text_of,
)
from tests.unit.serving import KEY, SECRET
from tests.unit.tokens import JWT_SECRET, claims, hs256

NOT_ACCEPTED = "That is not accepted. Check what you entered and try again."


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    with dashboard(monkeypatch) as made:
        yield made


@pytest.fixture
def auth() -> Iterator[GoTrue]:
    with gotrue() as served:
        served.tokens[EMAIL] = lambda: hs256(iss=f"{served.url}/auth/v1")
        yield served


@pytest.fixture
def with_accounts(monkeypatch: pytest.MonkeyPatch, auth: GoTrue) -> Iterator[Browser]:
    settings = {"SUPABASE_URL": auth.url, "SUPABASE_JWT_SECRET": JWT_SECRET}
    with dashboard(monkeypatch, **settings) as made:
        yield made


def by_email(browser: Browser, email: str = EMAIL, password: str = PASSWORD) -> TestResponse:
    return browser.post("/sign-in/email", email=email, password=password, next="/runs")


@pytest.mark.parametrize(
    ("key", "name", "role"),
    [
        (KEY, "tester", "admin"),
        (VIEWER_KEY, "watcher", "viewer"),
        (DELEGATE_KEY, "deputy", "delegate"),
    ],
)
def test_a_key_signs_in_whoever_has_it(browser: Browser, key: str, name: str, role: str) -> None:
    assert browser.get("/runs").headers["Location"] == "/sign-in?next=%2Fruns"
    answer = browser.sign_in(key, "/runs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/runs")
    page = browser.get("/runs")
    assert page.status_code == 200
    assert f"{name} {role}" in text_of(page)


@pytest.mark.parametrize("key", ["", "short", KEY[:-1], KEY + "x", KEY.upper(), "ü" * 40, " "])
def test_another_key_does_not(browser: Browser, key: str) -> None:
    answer = browser.sign_in(key, "/runs")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=%2Fruns")
    assert NOT_ACCEPTED in text_of(browser.get("/sign-in"))
    assert NOT_ACCEPTED not in text_of(browser.get("/sign-in")), "a notice is shown once"
    assert browser.get("/runs").status_code == 303


def test_what_is_around_a_pasted_key_does_no_harm(browser: Browser) -> None:
    assert browser.sign_in(f" {KEY}\n").headers["Location"] == "/"


def test_an_account_signs_in_with_its_password(with_accounts: Browser, auth: GoTrue) -> None:
    assert "E-mail address" in text_of(with_accounts.get("/sign-in"))
    assert by_email(with_accounts).headers["Location"] == "/runs"
    assert f"{EMAIL} admin" in text_of(with_accounts.get("/runs"))
    assert auth.requests[0][1]["apikey"] == SECRET


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (EMAIL, "wrong"),
        ("nobody@example.com", PASSWORD),
        (EMAIL, ""),
        ("", ""),
        ("a" * 400, PASSWORD),
        (EMAIL, "a" * 2_000),
    ],
)
def test_every_other_attempt_gets_the_same_answer(
    with_accounts: Browser, email: str, password: str
) -> None:
    answer = by_email(with_accounts, email, password)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=%2Fruns")
    assert NOT_ACCEPTED in text_of(with_accounts.get("/sign-in"))
    assert with_accounts.cookie() is None


def test_an_account_without_a_role_here_is_told_so(with_accounts: Browser, auth: GoTrue) -> None:
    auth.tokens[EMAIL] = lambda: hs256(iss=f"{auth.url}/auth/v1", app_metadata={"role": "player"})
    answer = by_email(with_accounts)
    assert answer.status_code == 403
    assert "This account has no role here" in text_of(answer)
    assert with_accounts.cookie() is None


def test_a_token_that_another_project_has_signed_is_worth_nothing(
    with_accounts: Browser, auth: GoTrue
) -> None:
    auth.tokens[EMAIL] = lambda: hs256("x" * 40, iss=f"{auth.url}/auth/v1")
    assert by_email(with_accounts).status_code == 303
    assert with_accounts.cookie() is None


def test_an_outage_of_the_accounts_says_so(with_accounts: Browser, auth: GoTrue) -> None:
    auth.answer = (500, b"{}")
    answer = by_email(with_accounts)
    assert answer.status_code == 503
    assert "Supabase Auth did not answer a sign-in" in text_of(answer)
    assert with_accounts.cookie() is None


def test_without_accounts_there_is_no_form_for_them(browser: Browser) -> None:
    assert "E-mail address" not in text_of(browser.get("/sign-in"))
    assert by_email(browser).headers["Location"].startswith("/sign-in")
    assert NOT_ACCEPTED in text_of(browser.get("/sign-in"))


def test_attempts_are_limited_by_where_they_come_from(browser: Browser) -> None:
    for _ in range(10):
        assert browser.sign_in("wrong" * 10).status_code == 303
    refused = browser.sign_in(KEY)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "42"
    assert "Wait 42 s" in text_of(refused)
    assert browser.cookie() is None


def test_attempts_are_limited_by_the_account_they_name(with_accounts: Browser) -> None:
    for number in range(5):
        spelled = EMAIL.upper() if number % 2 else f" {EMAIL} "
        assert by_email(with_accounts, spelled, "guess").status_code == 303
    assert by_email(with_accounts).status_code == 429
    named = [name for name in with_accounts.services.request_slots.taken if "to" in name.split()]
    assert len(named) == 1
    assert EMAIL not in named[0]


def test_a_limit_that_cannot_be_counted_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.core.errors import LedgerUnreachable

    class Down:
        def take(self, actor: str, per_min: int) -> float:
            raise LedgerUnreachable("the ledger is away", remedy="Try again.")

    with dashboard(monkeypatch, FakeServices(request_slots=Down())) as browser:
        assert browser.sign_in(KEY).status_code == 503
        assert browser.cookie() is None


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/ /evil.example",
        "evil.example",
        "javascript:alert(1)",
        "/runs\r\nSet-Cookie: a=b",
        "/" + "a" * 2_000,
        "/ünbekannt",
        "",
    ],
)
def test_after_the_sign_in_nobody_is_led_elsewhere(browser: Browser, elsewhere: str) -> None:
    assert browser.sign_in(KEY, elsewhere).headers["Location"] == "/"
    again = browser.get(f"/sign-in?{urlencode({'next': elsewhere})}")
    assert again.headers["Location"] == "/"


def test_one_ends_where_one_wanted_to_go(browser: Browser) -> None:
    asked = browser.get("/runs?before=&q=a%26b").headers["Location"]
    assert asked == "/sign-in?next=%2Fruns%3Fbefore%3D%26q%3Da%2526b"
    assert 'name="next" value="/runs?before=&amp;q=a%26b"' in browser.get(asked).text
    answer = browser.sign_in(KEY, "/runs?before=&q=a%26b")
    assert answer.headers["Location"] == "/runs?before=&q=a%26b"


def test_signing_out_ends_the_session_in_this_browser(browser: Browser) -> None:
    browser.sign_in()
    assert browser.get("/sign-out").status_code == 405, "a link must not sign anybody out"
    assert browser.post("/sign-out").headers["Location"] == "/sign-in"
    assert browser.cookie() is None
    assert "You have signed out." in text_of(browser.get("/sign-in"))
    assert browser.get("/runs").status_code == 303


def test_the_log_tells_who_came_and_no_secret(
    with_accounts: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        with_accounts.sign_in("wrong" * 10)
        by_email(with_accounts, EMAIL, "a-wrong-password")
        by_email(with_accounts)
        with_accounts.post("/sign-out")
        with_accounts.sign_in(KEY)
    assert "jwt:alice@example.com signed in" in caplog.text
    assert "jwt:alice@example.com signed out" in caplog.text
    assert "key:tester signed in" in caplog.text
    assert "A sign-in by key was not accepted" in caplog.text
    for secret in (KEY, PASSWORD, "a-wrong-password", "wrongwrong"):
        assert secret not in caplog.text


def test_the_cookies_are_for_this_place_alone(browser: Browser) -> None:
    answer = browser.sign_in()
    cookies = {line.partition("=")[0]: line for line in answer.headers.getlist("Set-Cookie")}
    session = cookies["reconcile_session"].split("; ")
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28800"} <= set(session)
    assert "Secure" not in session, "on loopback there is no https"
    assert "Max-Age=0" in cookies["reconcile_visitor"]


def test_away_from_loopback_they_are_for_https(browser: Browser) -> None:
    answer = browser.client.get("/sign-in", base_url="http://admin.example")
    (visitor,) = answer.headers.getlist("Set-Cookie")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(visitor.split("; "))


def test_a_token_of_supabase_is_no_key(browser: Browser) -> None:
    assert browser.sign_in(hs256(**claims())).headers["Location"].startswith("/sign-in")


def test_two_browsers_do_not_share_a_session(browser: Browser) -> None:
    browser.sign_in()
    other = new_browser(browser.services)
    assert other.get("/runs").status_code == 303
