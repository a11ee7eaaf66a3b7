"""`python -m tools.serve.functions FD`: the HTTP functions, each at `/<its name>`."""

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from tools.serve.part import stop_event
from tools.stack.ports import LOOPBACK

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FUNCTIONS = (
    "reconcile_user",
    "rollback",
    "holds",
    "sweep",
    "dry_run_report",
    "report",
    "solvency",
    "verify_audit",
    "watchdog",
    "indexer_webhook",
    "dashboard",
)

_ROOT = Path(__file__).parents[2]


class Quiet(WSGIRequestHandler):
    """Does not tell each request: the functions do."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def application() -> DispatcherMiddleware:
    """A WSGI app with each function at `/<its name>`; each sees the path below that as its own."""
    return DispatcherMiddleware(NotFound(), {f"/{name}": _app(name) for name in FUNCTIONS})


def main(listener: int) -> None:
    """Serves on a listening socket that the owner has bound."""
    stop = stop_event()
    server = make_server(
        LOOPBACK, 0, application(), threaded=True, request_handler=Quiet, fd=listener
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    stop.wait()
    server.shutdown()
    thread.join()


def _app(name: str) -> "WSGIApplication":
    source = str(_ROOT / "functions" / f"{name}.py")
    app: Flask = functions_framework.create_app(name, source)  # type: ignore[no-untyped-call]

    def at_root(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # The dispatcher leaves an empty path, which Flask would redirect to one with a slash.
        environ["PATH_INFO"] = environ["PATH_INFO"] or "/"
        return app(environ, start_response)

    return at_root


if __name__ == "__main__":
    main(int(sys.argv[1]))
