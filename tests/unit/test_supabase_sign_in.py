"""The password grant of Supabase Auth, against a server that speaks it."""

import logging
from collections.abc import Iterator

import pytest

from shared.adapters import supabase_sign_in
from shared.adapters.supabase_sign_in import ANSWER_BYTES_MAX, SupabaseSignIn
from shared.core.errors import SignInRefused, SignInUnreachable
from tests.gotrue import EMAIL, PASSWORD, GoTrue, gotrue

API_KEY = "eyJ-the-project's-own-key"


@pytest.fixture
def server() -> Iterator[GoTrue]:
    with gotrue() as served:
        served.tokens[EMAIL] = lambda: "a.b.c"
        yield served


@pytest.fixture
def accounts(server: GoTrue) -> SupabaseSignIn:
    return SupabaseSignIn(server.url + "/", API_KEY)


def test_the_right_password_gets_the_accounts_token(
    accounts: SupabaseSignIn, server: GoTrue
) -> None:
    assert accounts.token(EMAIL, PASSWORD) == "a.b.c"
    ((path, headers, body),) = server.requests
    assert path == "/auth/v1/token?grant_type=password"
    assert headers["apikey"] == API_KEY
    assert body == {"email": EMAIL, "password": PASSWORD}


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, "wrong"), ("nobody@example.com", PASSWORD), ("", "")]
)
def test_everything_else_is_refused_alike(
    accounts: SupabaseSignIn, email: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(SignInRefused) as refused:
        accounts.token(email, password)
    assert str(refused.value) == (
        "E-mail address and password are not accepted. Check both, and that the account is "
        "confirmed."
    )
    assert "invalid_credentials" in caplog.text
    assert not password or password not in caplog.text


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refusal_in_any_form_is_one(
    accounts: SupabaseSignIn, server: GoTrue, status: int
) -> None:
    server.answer = (status, b"<html>")
    with pytest.raises(SignInRefused):
        accounts.token(EMAIL, PASSWORD)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (429, b"{}"),
        (503, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"access_token": 7}'),
        (200, b'{"access_token": ""}'),
        (200, b"[" * 100_000),
        (200, b"x" * (ANSWER_BYTES_MAX + 1)),
        (307, b""),
    ],
)
def test_an_answer_that_is_none_is_an_outage(
    accounts: SupabaseSignIn, server: GoTrue, status: int, body: bytes
) -> None:
    server.answer = (status, body)
    with pytest.raises(SignInUnreachable) as failed:
        accounts.token(EMAIL, PASSWORD)
    assert failed.value.retryable
    assert PASSWORD not in str(failed.value)


def test_a_redirect_is_not_followed_with_the_password(
    accounts: SupabaseSignIn, server: GoTrue
) -> None:
    server.answer = (308, b"")
    server.headers["Location"] = f"{server.url}/elsewhere"
    with pytest.raises(SignInUnreachable):
        accounts.token(EMAIL, PASSWORD)
    assert len(server.requests) == 1


def test_nobody_there_and_nobody_answering_are_outages(
    accounts: SupabaseSignIn, server: GoTrue, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SignInUnreachable, match="ConnectError"):
        SupabaseSignIn("http://127.0.0.1:9", API_KEY).token(EMAIL, PASSWORD)
    monkeypatch.setattr(supabase_sign_in, "TIMEOUT_S", 0.05)
    server.delay_s = 0.5
    with pytest.raises(SignInUnreachable, match="ReadTimeout"):
        accounts.token(EMAIL, PASSWORD)
