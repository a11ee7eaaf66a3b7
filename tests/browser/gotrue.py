"""Supabase Auth as far as the dashboard uses it: signs people in by e-mail and password."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from tests.unit.tokens import hs256

PASSWORD = "correct horse battery staple"


class GoTrue:
    """Knows accounts by e-mail address; `requests` has the address of everyone who tried."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.roles: dict[str, str] = {}
        self.requests: list[str] = []

    def add(self, email: str, role: str) -> None:
        """An account with this `app_metadata.role` and PASSWORD."""
        self.roles[email] = role

    def sign_in(self, email: str, password: str) -> tuple[int, dict[str, Any]]:
        """The status and the body of GoTrue's answer."""
        self.requests.append(email)
        role = self.roles.get(email)
        if role is None or password != PASSWORD:
            refused = {"code": 400, "error_code": "invalid_credentials"}
            return 400, {**refused, "msg": "Invalid login credentials"}
        token = hs256(
            iss=f"{self.url}/auth/v1",
            sub=str(uuid4()),
            email=email,
            app_metadata={"provider": "email", "role": role},
        )
        return 200, {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": 3600,
            "refresh_token": "never-used",
            "user": {"email": email},
        }


@contextmanager
def gotrue() -> Iterator[GoTrue]:
    """At a loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = 404, {"msg": "not found"}
            if self.path == "/auth/v1/token?grant_type=password" and self.headers["apikey"]:
                status, body = served.sign_in(sent["email"], sent["password"])
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = GoTrue(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
