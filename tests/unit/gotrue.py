"""Supabase Auth's password grant on a loopback port, for one account or as a test wants it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EMAIL, PASSWORD = "alice@example.com", "correct horse battery staple"


@dataclass
class GoTrue:
    """`token` makes the token of the account. `answer`, if set, is what everybody gets; `requests`
    are the paths, headers and bodies that came."""

    url: str
    token: Callable[[], str]
    answer: tuple[int, bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    requests: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    def respond(self, path: str, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        self.requests.append((path, headers, body))
        time.sleep(self.delay_s)
        if self.answer is not None:
            return self.answer
        if body == {"email": EMAIL, "password": PASSWORD}:
            return 200, json.dumps({"access_token": self.token(), "token_type": "bearer"}).encode()
        refused = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login"}
        return 400, json.dumps(refused).encode()


@contextmanager
def gotrue(token: Callable[[], str]) -> Iterator[GoTrue]:
    """Serves until the end of the `with`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = served.respond(self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = GoTrue(f"http://127.0.0.1:{server.server_port}", token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
