"""Supabase Auth as far as sign-in uses it: its password grant, on a loopback port."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.loopback import QuietHandler, loopback_server
from tests.unit.tokens import hs256

EMAIL, PASSWORD = "alice@example.com", "correct horse battery staple"


@dataclass
class GoTrue:
    """`tokens` makes the token of each account by e-mail address; all have PASSWORD. `answer`, if
    set, is what everybody gets; `requests` are the paths, headers and bodies that came."""

    url: str
    tokens: dict[str, Callable[[], str]] = field(default_factory=dict)
    answer: tuple[int, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def add(self, email: str, role: str) -> None:
        """An account with this `app_metadata.role`."""
        self.tokens[email] = lambda: hs256(
            iss=f"{self.url}/auth/v1",
            sub=str(uuid4()),
            email=email,
            app_metadata={"provider": "email", "role": role},
        )

    def respond(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        """The status and the body of GoTrue's answer."""
        self.requests.append((path, headers, body))
        time.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        names = {name.lower() for name in headers}
        if path != "/auth/v1/token?grant_type=password" or "apikey" not in names:
            return 404, json.dumps({"msg": "not found"}).encode()
        token = self.tokens.get(body["email"])
        if token is None or body != {"email": body["email"], "password": PASSWORD}:
            refused = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login"}
            return 400, json.dumps(refused).encode()
        granted = {"access_token": token(), "token_type": "bearer", "expires_in": 3600}
        return 200, json.dumps({**granted, "user": {"email": body["email"]}}).encode()


@contextmanager
def gotrue() -> Iterator[GoTrue]:
    """Serves until the end of the `with`."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = json.loads(self.sent())
            status, answer = served.respond(self.path, dict(self.headers.items()), body)
            self.answer(status, answer, served.headers)

    with loopback_server(Handler) as url:
        served = GoTrue(url)
        yield served
