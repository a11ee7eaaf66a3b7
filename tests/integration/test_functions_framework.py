"""Each HTTP function under `functions-framework --target`, from what Google would be given."""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pathspec import GitIgnoreSpec
from standardwebhooks import Webhook

from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, new_address
from tools.chain import Chain
from tools.stack import Stack
from tools.stack.ports import LOOPBACK, free_ports

ROOT = Path(__file__).parents[2]
FRAMEWORK = Path(sys.executable).parent / "functions-framework"
KEY = secrets.token_urlsafe(32)
ADMIN = {"Authorization": f"Bearer {KEY}"}
SECRET = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
FLOW = 100_000_000
WAIT_S = 30.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its JSON."""

    status: int
    body: Any


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that .gcloudignore lets through, and no others."""
    folder = tmp_path_factory.mktemp("google") / "workspace"
    for name in uploaded():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    return folder


def uploaded() -> Iterator[Path]:
    """The files of this checkout that .gcloudignore lets through."""
    ignored = GitIgnoreSpec.from_lines((ROOT / ".gcloudignore").read_text().splitlines())
    for top in ROOT.iterdir():
        if top.is_file() or not ignored.match_file(f"{top.name}/"):
            for path in [top, *top.rglob("*")]:
                name = path.relative_to(ROOT)
                if path.is_file() and not ignored.match_file(name):
                    yield name


@contextmanager
def serving(name: str, workspace: Path, stack: Stack) -> Iterator[Callable[..., Answer]]:
    """Runs a function as Google does; yields a function that calls it."""
    (port,) = free_ports(1)
    command = [str(FRAMEWORK), "--target", name, "--source", f"functions/{name}.py"]
    process = subprocess.Popen(
        [*command, "--host", LOOPBACK, "--port", str(port)],
        cwd=workspace,
        # Without the environment of this process, whose settings are a developer's.
        env=stack.env
        | {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(workspace),
            "RECONCILE_API_KEYS": ApiKey("google", Role.ADMIN, key_digest(KEY)).line(),
            "RECONCILE_WEBHOOK_SECRETS": SECRET,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield lambda body=None, headers=None: called(process, port, body, headers or ADMIN)
    finally:
        process.terminate()
        process.communicate(timeout=WAIT_S)


def called(
    process: subprocess.Popen[str], port: int, body: object, headers: dict[str, str]
) -> Answer:
    """POST with a body, else GET; waits until the function is there."""
    request = urllib.request.Request(
        f"http://{LOOPBACK}:{port}/",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))
        except urllib.error.URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                pytest.fail(f"it did not start:\n{process.communicate()[0]}")
            time.sleep(0.1)


def test_google_is_given_what_runs_and_nothing_else(workspace: Path) -> None:
    top = {path.name for path in workspace.iterdir()}
    assert top == {"cadence", "functions", "requirements.txt", "shared"}
    assert [path.name for path in (workspace / "cadence").iterdir()] == ["scripts"]


def test_reconcile_user(
    workspace: Path,
    stack: Stack,
    ledger_rows: LedgerTables,
    contract_balances: Callable[[dict[str, int]], None],
) -> None:
    user = new_address()
    contract_balances({user: 5 * FLOW})
    with serving("reconcile_user", workspace, stack) as call:
        answer = call({"userAddress": user})
    assert answer.status == 200
    assert ledger_rows.balances() == {user: 5 * FLOW}
    assert ledger_rows.audit()[0].transaction_hash == "reconciliation_by_google"


def test_sweep_works_its_chunks_in_line(
    workspace: Path,
    stack: Stack,
    ledger_rows: LedgerTables,
    contract_balances: Callable[[dict[str, int]], None],
) -> None:
    user = new_address()
    contract_balances({user: 2 * FLOW})
    ledger_rows.insert({user: FLOW})
    with serving("sweep", workspace, stack) as call:
        answer = call({})
    assert answer.status == 200
    assert (answer.body["run"]["state"], answer.body["queued"]) == ("finished", 0)
    assert ledger_rows.balances() == {user: 2 * FLOW}


def test_dry_run_report(workspace: Path, stack: Stack, ledger_rows: LedgerTables) -> None:
    user = new_address()
    ledger_rows.insert({user: FLOW})
    with serving("dry_run_report", workspace, stack) as call:
        answer = call()
    assert answer.status == 200
    assert [each["userAddress"] for each in answer.body["results"]] == [user]
    assert ledger_rows.balances() == {user: FLOW}


def test_indexer_webhook(
    workspace: Path,
    stack: Stack,
    chain: Chain,
    contract_address: str,
    ledger_rows: LedgerTables,
    contract_balances: Callable[[dict[str, int]], None],
) -> None:
    user = new_address()
    contract_balances({user: 3 * FLOW})
    event_type = f"A.{contract_address[2:]}.OverflowGame.Deposited"
    fields = [{"name": "userAddress", "value": {"type": "Address", "value": user}}]
    payload = {"type": "Event", "value": {"id": event_type, "fields": fields}}
    event = {"type": event_type, "payload": payload, "block_height": chain.latest_height()}
    with serving("indexer_webhook", workspace, stack) as call:
        answer = call(event, signed(event))
    assert answer.status == 200
    assert ledger_rows.balances() == {user: 3 * FLOW}


def signed(body: object) -> dict[str, str]:
    """The headers of Standard Webhooks."""
    now, message_id = datetime.now(UTC), secrets.token_hex(8)
    return {
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Webhook(SECRET).sign(message_id, now, json.dumps(body)),
    }


def test_nobody_is_served_without_a_key(workspace: Path, stack: Stack) -> None:
    with serving("sweep", workspace, stack) as call:
        answer = call({}, {"Authorization": f"Bearer {KEY[::-1]}"})
    assert (answer.status, answer.body["code"]) == (401, "unauthorized")
