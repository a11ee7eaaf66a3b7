"""`python -m tools.serve [--port N]`: the HTTP functions on this machine, at one loopback port.

They use the environment if it has SUPABASE_URL, else .env.local (the stack of `make stack-up`),
else a stack of their own that ends with them.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import functions_framework
from flask import Flask
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import BaseWSGIServer, make_server

from shared.core.errors import InvalidSettings
from shared.settings import settings
from tools.stack import StackError, start_stack, stderr_progress
from tools.stack.folder import StateFolder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FUNCTIONS = ("reconcile_user", "sweep", "dry_run_report")
HOST = "127.0.0.1"

_ROOT = Path(__file__).parents[1]
# Any address: the ledger's row is created when there is none.
_EXAMPLE_USER = "0xf8d6e0586b0a20c7"


def main() -> int:
    """Serves until Ctrl-C or SIGTERM. Returns 0 then, 1 if it cannot start, else 130."""
    parser = argparse.ArgumentParser(prog="python -m tools.serve", description=__doc__)
    parser.add_argument("--port", type=_port, default=0, help="default: a free one")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with environment() as env_file:
            return serve(arguments.port, env_file)
    except (StackError, InvalidSettings) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was started is ended.", file=sys.stderr)
        return 130


@contextmanager
def environment() -> Iterator[Path | None]:
    """Sees to it that there are settings; yields the file that has them, or None.

    Raises StackError if the stack that .env.local belongs to is down, or none can be started.
    """
    given = Path(os.environ.get("RECONCILE_ENV_FILE", _ROOT / ".env.local"))
    if "SUPABASE_URL" in os.environ:
        yield None
    elif given.exists():
        _check_stack_runs()
        os.environ["RECONCILE_ENV_FILE"] = str(given.absolute())
        yield given
    else:
        with (
            tempfile.TemporaryDirectory(prefix="reconcile-serve-") as folder,
            start_stack(Path(folder) / "stack", progress=stderr_progress()) as stack,
        ):
            os.environ.update(stack.env)
            yield stack.env_file


def serve(port: int, env_file: Path | None) -> int:
    """Serves all functions until it is interrupted. Raises InvalidSettings, and SystemExit
    with its reason on stderr when the port is taken.
    """
    if settings().reconcile_api_key is None:
        raise InvalidSettings(
            "RECONCILE_API_KEY is not set", remedy="Set it: the functions serve nobody without."
        )
    server = make_server(HOST, port, application(), threaded=True)
    print(introduction(server, env_file), flush=True)
    server.serve_forever()  # returns after KeyboardInterrupt, with its socket closed
    print("Stopped.", flush=True)
    return 0


def application() -> DispatcherMiddleware:
    """A WSGI app with each function at `/<its name>`; each sees its own path as `/`."""
    return DispatcherMiddleware(NotFound(), {f"/{name}": _app(name) for name in FUNCTIONS})


def introduction(server: BaseWSGIServer, env_file: Path | None) -> str:
    """Where the functions are, and commands to paste."""
    base = f"http://{HOST}:{server.server_port}"
    key = '-H "Authorization: Bearer $RECONCILE_API_KEY"'
    lines = [
        "Serving (Ctrl-C stops):",
        *(f"  {base}/{name}" for name in FUNCTIONS),
        "",
        "Try in another shell:",
    ]
    if env_file:
        read = f"sed -n s/^RECONCILE_API_KEY=//p '{env_file}'"
        lines.append(f'  export RECONCILE_API_KEY="$({read})"')
    lines += [
        f"  curl -sS {key} {base}/dry_run_report",
        f"  curl -sS {key} '{base}/dry_run_report?format=csv'",
        f"  curl -sS {key} -H 'Content-Type: application/json' "
        f'-d \'{{"userAddress": "{_EXAMPLE_USER}"}}\' {base}/reconcile_user',
        f"  curl -sS {key} -H 'Content-Type: application/json' -d '{{}}' {base}/sweep",
    ]
    return "\n".join(lines)


def _app(name: str) -> "WSGIApplication":
    source = str(_ROOT / "functions" / f"{name}.py")
    app: Flask = functions_framework.create_app(name, source)  # type: ignore[no-untyped-call]

    def at_root(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # The dispatcher leaves an empty path, which Flask would redirect to one with a slash.
        environ["PATH_INFO"] = environ["PATH_INFO"] or "/"
        return app(environ, start_response)

    return at_root


def _check_stack_runs() -> None:
    folder = StateFolder(_ROOT / ".stack")
    if folder.ports() and folder.running().keys() != folder.ports().keys():
        raise StackError("The stack of .env.local is down. Start it with `make stack-up`.")


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError
    return port


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
