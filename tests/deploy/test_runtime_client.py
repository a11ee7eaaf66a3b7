"""A deployed handler under awslambdaric, the client that Lambda's own runtime starts it with."""

import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Event as Flag
from threading import Thread
from typing import Any

import pytest

from tests.conftest import LedgerTables, new_address
from tests.deploy.deployment import Deployment
from tests.deploy.events import Event, api_event, as_json

API = "/2018-06-01/runtime"
WAIT_S = 60
_RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_START = (
    "import sys; sys.path[:0] = sys.argv[1:3];"
    " from awslambdaric.__main__ import main; main(sys.argv[2:])"
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Shows nothing: a test kills the client while it waits for its next event."""


class RuntimeApi:
    """Lambda's side: hands out events and takes in what becomes of them."""

    def __init__(self) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.said: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.closed = Flag()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.give_next(self)

            def do_POST(self) -> None:
                api.take(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Shows nothing."""

        self.server = _Server(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    def give_next(self, request: BaseHTTPRequestHandler) -> None:
        assert request.path == f"{API}/invocation/next"
        while not self.closed.is_set():
            try:
                event = self.events.get(timeout=0.2)
            except queue.Empty:
                continue
            deadline_ms = int((time.time() + WAIT_S) * 1000)
            self._answer(
                request,
                200,
                json.dumps(event).encode(),
                {
                    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:1:function:f",
                    "Lambda-Runtime-Trace-Id": "Root=1-6a0b8d1f-2c5d0e9f1a7b4c3d5e6f7a8b",
                },
            )
            return

    def take(self, request: BaseHTTPRequestHandler) -> None:
        size = request.headers["Content-Length"]
        body = request.rfile.read(int(size)) if size else _chunked(request)
        self.said.put((request.path.removeprefix(API), json.loads(body)))
        self._answer(request, 202, b"{}", {})

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]
    ) -> None:
        request.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json"}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def _chunked(request: BaseHTTPRequestHandler) -> bytes:
    """A body without a length: the runtime client streams its answers."""
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


@pytest.fixture
def runtime_api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()
    thread = Thread(target=api.server.serve_forever)
    thread.start()
    yield api
    api.closed.set()
    api.server.shutdown()
    api.server.server_close()
    thread.join()


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder with the runtime client alone, as /var/runtime on Lambda."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in _RUNTIME:
        spec = find_spec(name)
        assert spec is not None
        found = Path(str(spec.origin))
        source = found.parent if found.name == "__init__.py" else found
        (folder / source.name).symlink_to(source)
    return folder


@contextmanager
def started(
    deployment: Deployment, function: str, runtime: Path, api: RuntimeApi
) -> Iterator[None]:
    handler = deployment.functions[function]["Handler"]
    env = deployment.environment(function) | {"AWS_LAMBDA_RUNTIME_API": api.address}
    command = [sys.executable, "-I", "-S", "-c", _START, str(runtime), str(deployment.folder)]
    with subprocess.Popen(
        [*command, handler],
        cwd=deployment.folder,
        env=env,
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield
        finally:
            process.kill()


def test_the_runtime_client_invokes_a_handler_again_and_again(
    deployment: Deployment,
    runtime: Path,
    runtime_api: RuntimeApi,
    api_key: str,
    ledger_rows: LedgerTables,
) -> None:
    user = new_address()
    ledger_rows.insert({user: 7})
    event = api_event(
        "reconcile_user",
        as_json({"userAddress": user}),
        headers={"Authorization": f"Bearer {api_key}"},
    )

    with started(deployment, "reconcile_user", runtime, runtime_api):
        answers = []
        for _ in range(2):
            runtime_api.events.put(event)
            path, answer = runtime_api.said.get(timeout=WAIT_S)
            assert path.endswith("/response"), answer
            answers.append(answer)

    assert [answer["statusCode"] for answer in answers] == [200, 200], answers
    first, second = (json.loads(answer["body"]) for answer in answers)
    assert (first["discrepancy"], second["discrepancy"]) == ("-0.00000007", "0.00000000")
    assert ledger_rows.balances() == {user: 0}


def test_what_a_handler_raises_is_a_failed_invocation(
    deployment: Deployment, runtime: Path, runtime_api: RuntimeApi
) -> None:
    with started(deployment, "sweep", runtime, runtime_api):
        runtime_api.events.put({"incremental": "perhaps"})
        path, answer = runtime_api.said.get(timeout=WAIT_S)

    assert path.endswith("/error")
    assert answer["errorType"] == "InvalidInput"
    assert "incremental" in answer["errorMessage"]
