"""Supabase Auth as tests need it: keys, tokens, and a server of the public keys."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.loopback import QuietHandler, loopback_server

JWT_SECRET = "a-secret-of-the-project-with-more-than-32-letters"
ISSUER = "http://127.0.0.1:9/auth/v1"
AUDIENCE = "authenticated"
SUBJECT = "2b4d6f80-8b2a-4a52-9a8b-0e6d1e1d2c3f"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def claims(**changes: Any) -> dict[str, Any]:
    """Those of an admin's token, as Supabase makes them; a change to None leaves a claim out."""
    now = int(time.time())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": SUBJECT,
        "exp": now + 3600,
        "iat": now,
        "email": "alice@example.com",
        "role": "authenticated",
        "app_metadata": {"provider": "email", "role": "admin"},
        "user_metadata": {"role": "delegate"},
        "session_id": "8c9f4e0e-7e0c-4b49-9d7f-3f1f5c1f3a11",
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def hs256(secret: str = JWT_SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, "HS256")


def signed(key: PrivateKey, key_id: str | None, **changes: Any) -> str:
    algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(claims(**changes), key, algorithm, headers)


def es256_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def rs256_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def public_jwk(key: PrivateKey, key_id: str, **members: Any) -> dict[str, Any]:
    """As Supabase publishes it."""
    if isinstance(key, rsa.RSAPrivateKey):
        jwk, algorithm = json.loads(RSAAlgorithm.to_jwk(key.public_key())), "RS256"
    else:
        jwk, algorithm = json.loads(ECAlgorithm.to_jwk(key.public_key())), "ES256"
    common = {"kid": key_id, "alg": algorithm, "use": "sig", "ext": True, "key_ops": ["verify"]}
    return {**jwk, **common, **members}


class JwksServer:
    """Answers with `keys` or, if that is set, with `body`; counts its requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: list[dict[str, Any]] = []
        self.body: bytes | None = None
        self.status = 200
        self.requests = 0
        self.delay_s = 0.0
        self.headers: dict[str, str] = {}

    def answer(self) -> bytes:
        self.requests += 1
        time.sleep(self.delay_s)
        return json.dumps({"keys": self.keys}).encode() if self.body is None else self.body


@contextmanager
def jwks_server() -> Iterator[JwksServer]:
    """At a loopback port."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            body = served.answer()
            self.answer(served.status, body, served.headers)

    with loopback_server(Handler) as url:
        served = JwksServer(f"{url}/.well-known/jwks.json")
        yield served
