"""Servers on this machine that stand for those who take messages: a webhook, and a mail server."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LOOPBACK = "127.0.0.1"


class WebhookServer:
    """Keeps the JSON of every request that it takes; `status` is what it answers."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.hangs = threading.Event()
        """While it is set, no answer comes."""
        self.goes_on = threading.Event()
        self._server = ThreadingHTTPServer((_LOOPBACK, port), _handler_of(self))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @contextmanager
    def serving(self) -> Iterator["WebhookServer"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.goes_on.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler_of(webhook: WebhookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if webhook.hangs.is_set():
                webhook.goes_on.wait(60)
            webhook.paths.append(self.path)
            if webhook.status == 200:
                webhook.bodies.append(json.loads(body))
            self.send_response(webhook.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class MailServer:
    """Speaks as much SMTP as a client needs to leave its mails, which are kept."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self._server = socketserver.ThreadingTCPServer((_LOOPBACK, 0), _mail_handler_of(self))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @contextmanager
    def serving(self) -> Iterator["MailServer"]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _mail_handler_of(server: MailServer) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline().decode().strip():
                command = line.split()[0].upper()
                if command == "DATA":
                    self._say("354 go on")
                    server.mails.append(self._mail())
                if command == "QUIT":
                    self._say("221 bye")
                    return
                self._say("250 fine")

        def _mail(self) -> EmailMessage:
            lines: list[bytes] = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return message_from_bytes(b"".join(lines), policy=policy.default)

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    return Handler
