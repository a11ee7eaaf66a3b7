"""`make serve` as a process: the schedule and the webhook correct drift, and all of it ends."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import LedgerTables, new_address
from tests.integration.test_cadence_contract import Game
from tools.chain import Chain
from tools.stack import Stack

ROOT = Path(__file__).parents[2]
FLOW = 100_000_000
WAIT_S = 60.0


class Serve:
    """A running `python -m tools.serve` and what it has printed."""

    def __init__(self, env_file: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.serve", *arguments],
            cwd=ROOT,
            env=environment(env_file),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def base(self) -> str:
        return self.found(r"(http://127\.0\.0\.1:\d+)/sweep")

    @property
    def api_key(self) -> str:
        return self.found(r"export KEY=(\S+)")

    def found(self, pattern: str) -> str:
        """What the pattern's group matches in what was printed; waits until it does."""
        self.wait_for(lambda: re.search(pattern, self.text) is not None)
        return str(re.findall(pattern, self.text)[0])

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Waits until it is true; fails with all that was printed."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                pytest.fail(f"in vain:\n{self.text}")
            time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        """Its processes, those of a stack of its own included."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it by a signal, if it still runs; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))


def environment(env_file: Path) -> dict[str, str]:
    """This process's own, without a developer's settings."""
    prefixes = ("SUPABASE_", "FLOW_", "RECONCILE_", "STACK_", "AWS_")
    own = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    return own | {"RECONCILE_ENV_FILE": str(env_file)}


@contextmanager
def serving(env_file: Path, *arguments: str) -> Iterator[Serve]:
    """Serves with a stack's env file; without the file, with a stack of its own."""
    serve = Serve(env_file, *arguments)
    try:
        yield serve
    finally:
        serve.end()


def get(url: str, key: str) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def admins(ledger: LedgerTables, user: str) -> list[str]:
    """Who corrected the user, oldest first."""
    rows = [row for row in ledger.audit() if row.user_address == user]
    return [row.transaction_hash.removeprefix("reconciliation_by_") for row in rows]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run; a zombie has ended."""
    return [each for each in processes if each.is_running() and each.status() != "zombie"]


def test_drift_is_corrected_by_the_schedule_and_by_the_webhook(
    stack: Stack,
    ledger_rows: LedgerTables,
    chain: Chain,
    contract_address: str,
    contract_balances: Callable[[Mapping[str, int]], None],
) -> None:
    drifted, player = new_address(), new_address()
    contract_balances({drifted: 5 * FLOW})
    ledger_rows.insert({drifted: 3 * FLOW, player: 0})
    with serving(stack.env_file, "--every", "600") as serve:
        serve.wait_for(lambda: ledger_rows.balances()[drifted] == 5 * FLOW)
        assert admins(ledger_rows, drifted) == ["ADMIN"]
        assert serve.found(r"(schedule  \| full run \S+ starts)")
        assert serve.found(r'timer     \| solvency: \{.*"state": "(\w+)"') != "unreadable"
        assert serve.found(r'timer     \| watchdog: \{.*"overdue": (\w+)') == "false"
        assert serve.found(r"(queue     \| messages: 1, to come again: 0)")

        assert serve.found(r"(indexer   \| following OverflowGame from block \d+)")
        Game(chain, contract_address).deposit(player, 2 * FLOW)
        serve.wait_for(lambda: ledger_rows.balances()[player] == 2 * FLOW)
        assert admins(ledger_rows, player) == ["indexer"]

        run_examples(serve)
        family = serve.family()
        assert len(family) == 6
        assert serve.end(signal.SIGINT) == 0
        assert not alive(family)


def run_examples(serve: Serve) -> None:
    """Runs the commands that it has printed as a person would who pastes them."""
    serve.found("(shared.cli runs)")
    begin = next(number for number, line in enumerate(serve.lines) if line.startswith("Try in"))
    commands = [line for line in serve.lines[begin + 1 :] if line.startswith("  ")]
    assert len(commands) == 8
    if shutil.which("curl") is None:
        commands = [line for line in commands if "curl" not in line]
    commands = [line.replace("curl ", "curl --fail-with-body ") for line in commands]
    result = subprocess.run(
        ["bash", "-e", "-o", "pipefail"],
        input="\n".join(commands),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_two_serve_side_by_side_but_not_at_the_same_port(stack: Stack) -> None:
    alone = stack.env_file, "--no-follow"
    with serving(*alone) as one, serving(*alone) as two:
        assert one.base != two.base
        assert one.found("queue  +(http://.*)") != two.found("queue  +(http://.*)")
        assert get(f"{one.base}/dry_run_report", one.api_key)[0] == 200
        assert get(f"{two.base}/dry_run_report", two.api_key)[0] == 200
        assert get(f"{two.base}/dry_run_report", one.api_key)[0] == 401

        port = one.base.rpartition(":")[2]
        three = Serve(*alone, "--port", port)
        assert three.process.wait(WAIT_S) == 1
        three.end()
        assert f"Port {port} cannot be used" in three.text


def test_when_a_part_dies_all_ends_with_the_stack_of_its_own(tmp_path: Path) -> None:
    with serving(tmp_path / "there-is-none") as serve:
        assert get(f"{serve.base}/dry_run_report", serve.api_key)[0] == 200
        family = serve.family()
        (queue,) = [each for each in family if "tools.serve.queue" in each.cmdline()]
        queue.kill()
        assert serve.process.wait(WAIT_S) == 1
        serve.end()
        assert "error: The part queue ended with -9" in serve.text
        assert not alive(family)
