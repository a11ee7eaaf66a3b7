"""The dashboard as a host of functions-framework serves it, over a real stack."""

import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.core.access import ApiKey, Role, key_digest
from tests.gotrue import GoTrue
from tests.unit.tokens import JWT_SECRET
from tools.stack import Stack
from tools.stack.ports import LOOPBACK, free_ports

ROOT = Path(__file__).parents[2]
FRAMEWORK = Path(sys.executable).parent / "functions-framework"
WAIT_S = 60.0


@dataclass(frozen=True)
class Dashboard:
    """Where it is, and keys that open it."""

    url: str
    admin_key: str
    viewer_key: str
    accounts: GoTrue


@contextmanager
def serving_dashboard(stack: Stack, accounts: GoTrue, log: Path) -> Iterator[Dashboard]:
    """Serves until the end of the `with`; what it prints goes into the file `log`."""
    (port,) = free_ports(1)
    admin_key, viewer_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    keys = [
        ApiKey("alice", Role.ADMIN, key_digest(admin_key)),
        ApiKey("victor", Role.VIEWER, key_digest(viewer_key)),
    ]
    command = [str(FRAMEWORK), "--target", "dashboard", "--source", "functions/dashboard.py"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--host", LOOPBACK, "--port", str(port)],
            cwd=ROOT,
            # Without the environment of this process, whose settings are a developer's.
            env=stack.env
            | {
                "PATH": os.environ["PATH"],
                "SUPABASE_URL": accounts.url,
                "SUPABASE_JWT_SECRET": JWT_SECRET,
                "RECONCILE_API_KEYS": ",".join(key.line() for key in keys),
                "RECONCILE_SESSION_SECRET": secrets.token_urlsafe(32),
                "RECONCILE_REQUESTS_PER_MIN": "0",
                "RECONCILE_BATCH_SIZE": "50",
                "RECONCILE_SETTLE_S": "1",
                "RECONCILE_DEADLINE_S": "4",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://{LOOPBACK}:{port}"
            _wait(process, url, log)
            yield Dashboard(url, admin_key, viewer_key, accounts)
        finally:
            process.terminate()
            process.wait(WAIT_S)


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/sign-in", timeout=WAIT_S):
                return
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"the dashboard answers {error.code}:\n{log.read_text()}")
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"the dashboard did not start:\n{log.read_text()}")
            time.sleep(0.1)
