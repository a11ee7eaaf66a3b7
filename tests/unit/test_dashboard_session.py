"""A session's cookie: only what was signed here counts, for as long as it may."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest

from shared.adapters.supabase_tokens import Claims
from shared.core.access import ApiKey, Role, key_digest
from shared.dashboard import visit
from shared.dashboard.session import SESSION_S, Sessions
from shared.dashboard.signing import Signer
from shared.settings import Settings, settings
from tests.unit.dashboard_client import SESSION_SECRET, Browser, dashboard
from tests.unit.serving import KEY
from tests.unit.tokens import JWT_SECRET

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ALICE = Claims("alice@example.com", "admin", NOW.timestamp() + 3_600)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    with dashboard(monkeypatch, SUPABASE_JWT_SECRET=JWT_SECRET) as made:
        yield made


@pytest.fixture
def config(browser: Browser) -> Settings:
    assert browser.services is not None
    return settings()


@pytest.fixture
def sessions(config: Settings) -> Sessions:
    return Sessions(config, SESSION_SECRET)


def changed(config: Settings, **changes: object) -> Sessions:
    return Sessions(config.model_copy(update=changes), SESSION_SECRET)


def admin_key(config: Settings) -> ApiKey:
    return config.reconcile_api_keys[0]


def test_a_key_and_an_account_come_back_as_who_they_are(
    sessions: Sessions, config: Settings
) -> None:
    for session, via, name in (
        (sessions.of_key(admin_key(config), NOW), "key", "tester"),
        (sessions.of_claims(ALICE, NOW), "jwt", "alice@example.com"),
    ):
        found = sessions.read(sessions.cookie(session), NOW)
        assert found is not None
        assert found[0] == session
        assert (found[1].via, found[1].name, found[1].role) == (via, name, Role.ADMIN)


def test_each_session_has_an_id_of_its_own(sessions: Sessions, config: Settings) -> None:
    key = admin_key(config)
    assert sessions.of_key(key, NOW).id != sessions.of_key(key, NOW).id


def test_a_session_ends_after_eight_hours(sessions: Sessions, config: Settings) -> None:
    cookie = sessions.cookie(sessions.of_key(admin_key(config), NOW))
    assert sessions.read(cookie, NOW + timedelta(seconds=SESSION_S - 1))
    assert sessions.read(cookie, NOW + timedelta(seconds=SESSION_S)) is None


def test_an_accounts_session_ends_with_its_token(sessions: Sessions) -> None:
    cookie = sessions.cookie(sessions.of_claims(ALICE, NOW))
    assert sessions.read(cookie, NOW + timedelta(seconds=3_599))
    assert sessions.read(cookie, NOW + timedelta(seconds=3_600)) is None
    long = Claims("alice@example.com", "admin", NOW.timestamp() + 10 * SESSION_S)
    cookie = sessions.cookie(sessions.of_claims(long, NOW))
    assert sessions.read(cookie, NOW + timedelta(seconds=SESSION_S)) is None


def test_a_keys_session_ends_when_the_key_leaves_the_settings(
    sessions: Sessions, config: Settings
) -> None:
    cookie = sessions.cookie(sessions.of_key(admin_key(config), NOW))
    assert changed(config, reconcile_api_keys=config.reconcile_api_keys[1:]).read(cookie, NOW) is (
        None
    )
    replaced = ApiKey("tester", Role.ADMIN, key_digest("another-key" * 4))
    assert changed(config, reconcile_api_keys=(replaced,)).read(cookie, NOW) is None
    renamed = ApiKey("other", Role.ADMIN, admin_key(config).digest)
    assert changed(config, reconcile_api_keys=(renamed,)).read(cookie, NOW) is None


def test_a_keys_session_has_the_role_that_the_key_has_now(
    sessions: Sessions, config: Settings
) -> None:
    cookie = sessions.cookie(sessions.of_key(admin_key(config), NOW))
    lowered = ApiKey("tester", Role.VIEWER, admin_key(config).digest)
    found = changed(config, reconcile_api_keys=(lowered,)).read(cookie, NOW)
    assert found is not None
    assert found[1].role is Role.VIEWER


def test_an_accounts_session_follows_the_settings_too(sessions: Sessions, config: Settings) -> None:
    cookie = sessions.cookie(sessions.of_claims(ALICE, NOW))
    lowered = changed(config, reconcile_roles={"admin": Role.VIEWER}).read(cookie, NOW)
    assert lowered is not None
    assert lowered[1].role is Role.VIEWER
    assert changed(config, reconcile_roles={"boss": Role.ADMIN}).read(cookie, NOW) is None
    assert changed(config, supabase_jwt_secret=None).read(cookie, NOW) is None


def test_the_cookie_shows_neither_the_key_nor_its_hash(
    sessions: Sessions, config: Settings
) -> None:
    cookie = sessions.cookie(sessions.of_key(admin_key(config), NOW))
    readable = str(Signer(SESSION_SECRET, "session").read(cookie))
    assert "tester" in readable
    assert KEY not in readable
    assert key_digest(KEY) not in readable


@pytest.mark.parametrize(
    "forge",
    [
        lambda cookie: "",
        lambda cookie: "x" * 5_000,
        lambda cookie: cookie[:-1],
        lambda cookie: cookie[:-2] + ("AA" if cookie[-2:] != "AA" else "BB"),
        lambda cookie: cookie.partition(".")[0],
        lambda cookie: f"{_altered(cookie)}.{cookie.rpartition('.')[2]}",
        lambda cookie: Signer("another-secret-of-the-same-length-or-so", "session").sign({}),
        lambda cookie: Signer(SESSION_SECRET, "visitor").sign(_payload()),
        lambda cookie: Signer(SESSION_SECRET, "session").sign("text"),
        lambda cookie: Signer(SESSION_SECRET, "session").sign({"id": "x"}),
        lambda cookie: Signer(SESSION_SECRET, "session").sign({**_payload(), "more": 1}),
        lambda cookie: Signer(SESSION_SECRET, "session").sign({**_payload(), "via": "other"}),
    ],
)
def test_what_was_not_signed_here_for_this_is_nothing(
    forge: object, sessions: Sessions, config: Settings
) -> None:
    assert callable(forge)
    cookie = sessions.cookie(sessions.of_key(admin_key(config), NOW))
    assert sessions.read(forge(cookie), NOW) is None


def test_a_forged_cookie_leads_to_the_sign_in(browser: Browser) -> None:
    browser.sign_in()
    cookie = browser.cookie()
    assert cookie is not None
    browser.set_cookie(cookie[:-3] + "abc")
    assert browser.get("/runs").headers["Location"] == "/sign-in?next=%2Fruns"


def test_a_session_that_is_over_leads_there_too(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in()
    token = browser.token()
    from shared.dashboard import site

    later = Mock(return_value=datetime.now(UTC) + timedelta(seconds=SESSION_S + 1))
    monkeypatch.setattr(site, "datetime", Mock(now=later))
    assert browser.get("/runs").headers["Location"] == "/sign-in?next=%2Fruns"
    posted = browser.post("/solvency/check", token=token)
    assert posted.headers["Location"] == "/sign-in"
    assert browser.services.solvency.asked == []


def test_another_secret_ends_every_session(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.sign_in()
    assert browser.get("/runs").status_code == 200
    monkeypatch.setenv("RECONCILE_SESSION_SECRET", "another-secret-of-more-than-32-characters")
    settings.cache_clear()
    assert browser.get("/runs").status_code == 303


def test_a_secret_that_is_too_short_is_refused(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECONCILE_SESSION_SECRET", "short")
    settings.cache_clear()
    answer = browser.get("/sign-in")
    assert answer.status_code == 503
    assert "short" not in answer.text


def test_without_a_secret_nobody_is_served(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RECONCILE_SESSION_SECRET")
    settings.cache_clear()
    answer = browser.get("/sign-in")
    assert answer.status_code == 503
    assert "RECONCILE_SESSION_SECRET" in answer.text
    assert visit.SESSION_COOKIE not in str(answer.headers)


def _payload() -> dict[str, object]:
    return {
        "id": "x",
        "name": "alice@example.com",
        "via": "jwt",
        "mark": "admin",
        "ends_at": int(NOW.timestamp()) + 60,
    }


def _altered(cookie: str) -> str:
    """The payload of a cookie with another name in it, under the old signature."""
    payload = cookie.rpartition(".")[0].lstrip(".")
    try:
        value = json.loads(urlsafe_b64decode(payload + "=="))
    except ValueError:  # it was compressed
        value = {"name": "someone-else"}
    value["name"] = "someone-else"
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
