"""Secrets are taken out of texts, whole, and nothing else is."""

import json
from urllib.parse import quote

import pytest
from pydantic import BaseModel, SecretStr

from shared.observe.redact import REDACTED, Redactor, secrets_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJlLW9mLWl0"
WEBHOOK = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"asked with {JWT}.", JWT),
        (f"cut off: {JWT[:50]}", JWT[:50]),
        ("Authorization: Bearer abc.def-123/4", "abc.def-123/4"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        (f"signed with {WEBHOOK}", WEBHOOK),
        ("key sb_secret_N7UND0UgjKTVK-Uodkm0Hg", "N7UND0UgjKTVK-Uodkm0Hg"),
        ("postgresql://app:s3cr:et@db.example:5432/x", "s3cr:et"),
        ("redis://:hunter22@cache", "hunter22"),
        ("id AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ('{"apiKey": "0123-4567"}', "0123-4567"),
        ("?access_token=0123-4567&x=1", "0123-4567"),
        ("apikey=0123-4567", "0123-4567"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----", "MHc"),
        ("-----BEGIN PRIVATE KEY-----\nMHc\ncut", "MHc"),
    ],
)
def test_secrets_are_known_by_their_form(text: str, secret: str) -> None:
    redacted = Redactor()(text)
    assert secret not in redacted
    assert REDACTED in redacted


@pytest.mark.parametrize(
    "text",
    [
        "The key is wrong. Send the header Authorization, please",
        "reconcile_user ended",
        "0xf8d6e0586b0a20c7 has 184467440737.09551615",
        "POST https://example.supabase.co:443/rest/v1/rpc/x",
        "SUPABASE_SERVICE_ROLE_KEY: Field required",
        "shared/http/entry.py:70 _answer",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor(["a-known-secret-value"])(text) == text


@pytest.mark.parametrize("secret", ['quo"ted\\secret', "a b/c+d=e&f", "schlüssel-ä-0123"])
def test_a_known_secret_is_found_as_others_write_it(secret: str) -> None:
    redact = Redactor([secret])
    for written in (
        secret,
        json.dumps(secret),
        repr(secret),
        quote(secret, safe=""),
        ascii(secret),
    ):
        assert redact(f"<{written}>").strip("<\"'>") == REDACTED


def test_of_two_secrets_that_begin_alike_the_longer_is_taken_whole() -> None:
    assert Redactor(["secret-one", "secret-one-and-more"])("secret-one-and-more!") == f"{REDACTED}!"


def test_short_values_are_no_secrets() -> None:
    assert Redactor(["", "abc"])("abcdef") == "abcdef"


def test_the_secrets_are_those_of_the_settings_and_of_the_environment() -> None:
    class Config(BaseModel):
        one: SecretStr
        several: tuple[SecretStr, ...]
        none: SecretStr | None = None
        url: str = "http://plain"

    config = Config(one=SecretStr("one-secret"), several=(SecretStr("two"), SecretStr("three")))
    environment = {"SOME_API_KEYS": "a:b, c:d", "PATH": "/bin", "NOT_A_KEYHOLE": "x"}
    assert secrets_of(config, environment) == {
        *("one-secret", "two", "three"),
        *("a:b, c:d", "a:b", "c:d"),
    }
    assert secrets_of(None, {}) == set()
