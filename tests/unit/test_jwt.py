"""Tokens of Supabase Auth: which are believed, by which keys, and what happens without the keys."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from shared.adapters.jwks import BYTES_MAX, REFETCH_S, RETRY_S, STALE_S, TIMEOUT_S, TTL_S, Jwks
from shared.adapters.supabase_tokens import Claims, SupabaseTokens
from shared.core.access import JwksUnreachable, TokenRejected
from tests.fakes.fake_clock import FakeClock
from tests.unit.tokens import (
    AUDIENCE,
    ISSUER,
    JWT_SECRET,
    SUBJECT,
    JwksServer,
    PrivateKey,
    claims,
    es256_key,
    hs256,
    jwks_server,
    public_jwk,
    rs256_key,
    signed,
)

EC_KEY = es256_key()
RSA_KEY = rs256_key()
SHORT_KEY = rs256_key(1024)
ALICE = Claims(name="alice@example.com", role="admin")


@pytest.fixture
def server() -> Iterator[JwksServer]:
    with jwks_server() as server:
        server.keys = [public_jwk(EC_KEY, "ec"), public_jwk(RSA_KEY, "rsa")]
        yield server


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(server: JwksServer, clock: FakeClock) -> SupabaseTokens:
    """A project with a secret and with published keys."""
    return made(server, clock)


def made(
    server: JwksServer | None, clock: FakeClock, secret: str | None = JWT_SECRET
) -> SupabaseTokens:
    jwks = Jwks(server.url, clock) if server else None
    return SupabaseTokens(secret=secret, jwks=jwks, issuer=ISSUER, audience=AUDIENCE)


def forged(header: dict[str, Any], signature_of: Any = None, **changes: Any) -> str:
    """A token put together by hand; `signature_of` makes its signature of what is signed."""
    parts = [_b64(json.dumps(each).encode()) for each in (header, claims(**changes))]
    signing = b".".join(parts)
    return (signing + b"." + _b64(signature_of(signing) if signature_of else b"")).decode()


def _b64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def refused(tokens: SupabaseTokens, token: str) -> str:
    with pytest.raises(TokenRejected) as caught:
        tokens.verify(token)
    assert token not in str(caught.value)
    assert SUBJECT not in str(caught.value)
    return caught.value.fault


# -- what is believed ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token", [hs256(), signed(EC_KEY, "ec"), signed(RSA_KEY, "rsa")], ids=["hs", "ec", "rsa"]
)
def test_a_token_of_the_project_is_believed(tokens: SupabaseTokens, token: str) -> None:
    assert tokens.verify(token) == ALICE


@pytest.mark.parametrize("aud", [AUDIENCE, ["other", AUDIENCE]])
def test_the_audience_may_be_one_of_several(tokens: SupabaseTokens, aud: object) -> None:
    assert tokens.verify(hs256(aud=aud)) == ALICE


@pytest.mark.parametrize(
    ("claim", "seconds"), [("exp", -25), ("nbf", 25), ("iat", 25)], ids=["exp", "nbf", "iat"]
)
def test_clocks_may_be_half_a_minute_apart(
    tokens: SupabaseTokens, claim: str, seconds: int
) -> None:
    changes: dict[str, Any] = {claim: int(time.time()) + seconds}
    assert tokens.verify(hs256(**changes)) == ALICE


@pytest.mark.parametrize(
    "email",
    [
        None,
        7,
        "",
        "alice",
        "a b@example.com",
        "a\n@example.com",
        "alícе@example.com",
        "ADMIN by x@y",
        "a@b@c",
        f"{'a' * 100}@example.com",
    ],
)
def test_without_a_plain_email_address_the_name_is_the_subject(
    tokens: SupabaseTokens, email: object
) -> None:
    assert tokens.verify(hs256(email=email)).name == SUBJECT


@pytest.mark.parametrize("metadata", [None, {}, {"role": None}, {"role": ["admin"]}, [], "admin"])
def test_the_role_is_in_the_metadata_that_users_cannot_change(
    tokens: SupabaseTokens, metadata: object
) -> None:
    assert tokens.verify(hs256(app_metadata=metadata)).role is None


# -- what is not -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"exp": 1}, "The token has expired"),
        ({"aud": "anon"}, "The token is for another service"),
        ({"aud": ["anon"]}, "The token is for another service"),
        ({"iss": "https://other.supabase.co/auth/v1"}, "The token is for another service"),
        ({"iss": f"{ISSUER}/"}, "The token is for another service"),
        ({"exp": None}, "The token is not accepted"),
        ({"exp": "soon"}, "The token is not accepted"),
        ({"exp": [1]}, "The token is not accepted"),
        ({"exp": float("inf")}, "The token is not accepted"),
        ({"aud": None}, "The token is not accepted"),
        ({"iss": None}, "The token is not accepted"),
        ({"sub": None}, "The token is not accepted"),
        ({"sub": ""}, "The token is not accepted"),
        ({"sub": 7}, "The token is not accepted"),
        ({"sub": "a b"}, "The token is not accepted"),
        ({"sub": "ａdmin"}, "The token is not accepted"),
        ({"sub": "x" * 101}, "The token is not accepted"),
    ],
)
def test_claims_that_do_not_fit_are_refused(
    tokens: SupabaseTokens, changes: dict[str, Any], fault: str
) -> None:
    assert refused(tokens, hs256(**changes)) == fault


@pytest.mark.parametrize(
    ("claim", "from_now_s", "fault"),
    [
        ("exp", -31, "The token has expired"),
        ("nbf", 40, "The token is not valid yet"),
        ("iat", 40, "The token is not valid yet"),
    ],
)
def test_a_token_outside_its_time_is_refused(
    tokens: SupabaseTokens, claim: str, from_now_s: int, fault: str
) -> None:
    changes: dict[str, Any] = {claim: int(time.time()) + from_now_s}
    assert refused(tokens, hs256(**changes)) == fault


def test_the_projects_anon_and_service_keys_are_no_persons(tokens: SupabaseTokens) -> None:
    for role in ("anon", "service_role"):
        payload = {"iss": "supabase", "ref": "x", "role": role, "iat": 1, "exp": 4102444800}
        refused(tokens, jwt.encode(payload, JWT_SECRET, "HS256"))


def test_a_wrong_signature_is_refused_before_the_claims_are_looked_at(
    tokens: SupabaseTokens,
) -> None:
    for token in (hs256("x" * 40, exp=1), signed(es256_key(), "ec", exp=1)):
        assert refused(tokens, token) == "The token is not accepted"


def test_a_changed_payload_is_refused(tokens: SupabaseTokens) -> None:
    header, _, signature = hs256().split(".")
    payload = _b64(json.dumps(claims(app_metadata={"role": "delegate"})).encode()).decode()
    refused(tokens, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, [], {}, 0])
def test_alg_none_is_refused(tokens: SupabaseTokens, alg: object) -> None:
    refused(tokens, forged({"alg": alg, "typ": "JWT"}))
    refused(tokens, forged({"alg": alg, "kid": "ec"}))
    refused(tokens, forged({"typ": "JWT"}))


@pytest.mark.parametrize("key", [EC_KEY, RSA_KEY], ids=["ec", "rsa"])
@pytest.mark.parametrize("kid", ["ec", "rsa", None])
def test_a_public_key_is_no_hmac_secret(
    tokens: SupabaseTokens, key: PrivateKey, kid: str | None
) -> None:
    public = key.public_key()
    secrets = [
        public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        json.dumps(public_jwk(key, "ec")).encode(),
        b"",
    ]
    for secret in secrets:
        header = {"alg": "HS256", "typ": "JWT", **({"kid": kid} if kid else {})}
        refused(tokens, forged(header, lambda signing, s=secret: _hmac(s, signing)))


def _hmac(secret: bytes, signing: bytes) -> bytes:
    return hmac.digest(secret, signing, hashlib.sha256)


def test_a_key_goes_with_its_own_algorithm_alone(tokens: SupabaseTokens) -> None:
    refused(tokens, signed(RSA_KEY, "ec"))
    refused(tokens, signed(EC_KEY, "rsa"))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_algorithms_of_the_secret_are_refused(tokens: SupabaseTokens, algorithm: str) -> None:
    refused(tokens, jwt.encode(claims(), JWT_SECRET * 2, algorithm))


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_other_algorithms_of_a_key_are_refused(tokens: SupabaseTokens, algorithm: str) -> None:
    refused(tokens, jwt.encode(claims(), RSA_KEY, algorithm, {"kid": "rsa"}))


def test_what_is_not_configured_is_refused(server: JwksServer, clock: FakeClock) -> None:
    refused(made(server, clock, secret=None), hs256())
    refused(made(None, clock), signed(EC_KEY, "ec"))
    assert not server.requests


@pytest.mark.parametrize("kid", [None, "", "EC", "../ec", "ec\0", 7, ["ec"], {"ec": 1}])
def test_a_token_that_names_no_key_of_the_project_is_refused(
    tokens: SupabaseTokens, kid: object
) -> None:
    header = {"alg": "ES256", **({} if kid is None else {"kid": kid})}
    refused(tokens, forged(header, lambda _: b"x" * 64))


def test_a_key_in_the_token_itself_is_not_used(tokens: SupabaseTokens) -> None:
    own = es256_key()
    headers = {"kid": "own", "jwk": public_jwk(own, "own"), "jku": "http://127.0.0.1:9/"}
    refused(tokens, jwt.encode(claims(), own, "ES256", headers))


def test_an_extension_that_must_be_understood_is_not(tokens: SupabaseTokens) -> None:
    for crit in (["exp"], ["b64"], [], "exp", None):
        header = {"alg": "HS256", "crit": crit, "exp": 1}
        refused(tokens, forged(header, lambda signing: _hmac(JWT_SECRET.encode(), signing)))


@pytest.mark.parametrize(
    "token",
    [
        "..",
        "a.b.c",
        "é.é.é",
        "e30.e30.",
        "bnVsbA.e30.AA",
        "W10.W10.W10",
        _b64(b"[" * 4_000).decode() + ".e30.AA",
        _b64(b'{"alg": "HS256", "alg": "none"}').decode() + ".e30.",
        _b64(b'{"alg": "HS256\xff"}').decode() + ".e30.",
    ],
)
def test_garbage_is_refused(tokens: SupabaseTokens, token: str) -> None:
    refused(tokens, token)


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"7", b"[" * 4_000, b"\xff", b"{"])
def test_a_signed_payload_that_is_no_object_is_refused(
    tokens: SupabaseTokens, payload: bytes
) -> None:
    signing = _b64(b'{"alg": "HS256"}') + b"." + _b64(payload)
    signature = _b64(_hmac(JWT_SECRET.encode(), signing))
    refused(tokens, (signing + b"." + signature).decode())


# -- the published keys ----------------------------------------------------------------------


def test_the_keys_are_fetched_once(tokens: SupabaseTokens, server: JwksServer) -> None:
    for _ in range(3):
        tokens.verify(signed(EC_KEY, "ec"))
        tokens.verify(signed(RSA_KEY, "rsa"))
    assert server.requests == 1


def test_keys_are_fetched_again_after_their_time(
    tokens: SupabaseTokens, server: JwksServer, clock: FakeClock
) -> None:
    tokens.verify(signed(EC_KEY, "ec"))
    server.keys = [public_jwk(RSA_KEY, "rsa")]
    clock.advance(TTL_S - 1)
    assert tokens.verify(signed(EC_KEY, "ec")) == ALICE
    clock.advance(2)
    refused(tokens, signed(EC_KEY, "ec"))
    assert server.requests == 2


def test_a_new_key_is_found_and_made_up_ones_are_not_asked_for_each_time(
    tokens: SupabaseTokens, server: JwksServer, clock: FakeClock
) -> None:
    new = es256_key()
    tokens.verify(signed(EC_KEY, "ec"))
    server.keys.append(public_jwk(new, "new"))
    for number in range(5):
        refused(tokens, signed(new, f"made-up-{number}"))
    assert server.requests == 1
    clock.advance(REFETCH_S)
    assert tokens.verify(signed(new, "new")) == ALICE
    assert server.requests == 2


def test_old_keys_serve_for_a_while_when_they_cannot_be_fetched(
    tokens: SupabaseTokens, server: JwksServer, clock: FakeClock
) -> None:
    tokens.verify(signed(EC_KEY, "ec"))
    server.status = 500
    clock.advance(STALE_S - 1)
    assert tokens.verify(signed(EC_KEY, "ec")) == ALICE
    with pytest.raises(JwksUnreachable):  # who knows whether that key is a new one
        tokens.verify(signed(EC_KEY, "new"))
    clock.advance(2)
    with pytest.raises(JwksUnreachable):
        tokens.verify(signed(EC_KEY, "ec"))


def test_after_a_failure_it_is_tried_again_soon_but_not_at_once(
    tokens: SupabaseTokens, server: JwksServer, clock: FakeClock
) -> None:
    server.status = 503
    for _ in range(3):
        with pytest.raises(JwksUnreachable):
            tokens.verify(signed(EC_KEY, "ec"))
    assert server.requests == 1
    server.status = 200
    clock.advance(RETRY_S)
    assert tokens.verify(signed(EC_KEY, "ec")) == ALICE


def test_tokens_of_the_secret_do_not_need_the_keys(
    tokens: SupabaseTokens, server: JwksServer
) -> None:
    server.status = 500
    assert tokens.verify(hs256()) == ALICE
    assert not server.requests


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 9_000, b" " * (BYTES_MAX + 1)],
)
def test_an_answer_that_is_no_key_set_is_no_answer(
    tokens: SupabaseTokens, server: JwksServer, body: bytes
) -> None:
    server.body = body
    with pytest.raises(JwksUnreachable):
        tokens.verify(signed(EC_KEY, "ec"))


def test_an_answer_that_trickles_in_is_given_up(
    tokens: SupabaseTokens,
    server: JwksServer,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = server.answer

    def slow() -> bytes:
        clock.advance(TIMEOUT_S + 1)
        return answer()

    monkeypatch.setattr(server, "answer", slow)
    with pytest.raises(JwksUnreachable):
        tokens.verify(signed(EC_KEY, "ec"))


def test_redirects_are_not_followed(tokens: SupabaseTokens, server: JwksServer) -> None:
    server.status, server.headers = 302, {"Location": server.url}
    with pytest.raises(JwksUnreachable):
        tokens.verify(signed(EC_KEY, "ec"))
    assert server.requests == 1


def test_without_a_server_it_is_unreachable(clock: FakeClock) -> None:
    with jwks_server() as gone:
        pass
    with pytest.raises(JwksUnreachable) as caught:
        made(gone, clock).verify(signed(EC_KEY, "ec"))
    assert caught.value.retryable


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
@pytest.mark.parametrize(
    "bad",
    [
        None,
        "ec",
        {},
        {"kty": "oct", "kid": "bad", "alg": "HS256", "k": _b64(b"s" * 32).decode()},
        {"kty": "oct", "kid": "bad", "alg": "ES256", "k": _b64(b"s" * 32).decode()},
        public_jwk(EC_KEY, "bad", kid=None),
        public_jwk(EC_KEY, "bad", kid=["bad"]),
        public_jwk(EC_KEY, "bad", kty=["EC"]),
        public_jwk(EC_KEY, "bad", alg=["ES256"]),
        public_jwk(EC_KEY, "bad", alg="HS256"),
        public_jwk(EC_KEY, "bad", alg="RS256"),
        public_jwk(EC_KEY, "bad", use="enc"),
        public_jwk(EC_KEY, "bad", crv="P-384"),
        public_jwk(EC_KEY, "bad", x="AA"),
        public_jwk(EC_KEY, "bad", y=None),
        public_jwk(EC_KEY, "bad", **json.loads(ECAlgorithm.to_jwk(EC_KEY))),  # the private one
        public_jwk(RSA_KEY, "bad", n="AA"),
        public_jwk(RSA_KEY, "bad", e=7),
        public_jwk(SHORT_KEY, "bad"),
    ],
)
def test_a_key_that_is_not_fit_is_passed_over(
    tokens: SupabaseTokens, server: JwksServer, bad: Any
) -> None:
    server.keys = [bad, public_jwk(EC_KEY, "ec")]
    assert tokens.verify(signed(EC_KEY, "ec")) == ALICE
    for token in (signed(key, "bad") for key in (EC_KEY, RSA_KEY, SHORT_KEY)):
        refused(tokens, token)
    header = {"alg": "HS256", "kid": "bad"}
    refused(tokens, forged(header, lambda signing: _hmac(b"s" * 32, signing)))


def test_keys_without_an_algorithm_have_that_of_their_kind(
    tokens: SupabaseTokens, server: JwksServer
) -> None:
    server.keys = [
        {name: value for name, value in key.items() if name not in ("alg", "use")}
        for key in server.keys
    ]
    assert tokens.verify(signed(EC_KEY, "ec")) == ALICE
    assert tokens.verify(signed(RSA_KEY, "rsa")) == ALICE


def test_another_curve_is_refused(tokens: SupabaseTokens, server: JwksServer) -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    server.keys = [public_jwk(other, "ec", alg="ES384")]
    refused(tokens, jwt.encode(claims(), other, "ES384", {"kid": "ec"}))


def test_many_at_once_fetch_once(tokens: SupabaseTokens, server: JwksServer) -> None:
    server.delay_s = 0.2
    found: list[Claims] = []
    token = signed(EC_KEY, "ec")
    threads = [
        threading.Thread(target=lambda: found.append(tokens.verify(token))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [ALICE] * 8
    assert server.requests == 1
