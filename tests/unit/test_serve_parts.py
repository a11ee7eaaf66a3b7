"""The processes of `make serve`: their lines, and that none of them outlives the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tools.serve import parts as parts_module
from tools.serve.parts import PartEnded, Parts

WAIT_S = 20.0

PATIENT = """
from tools.serve.part import stop_event
stop = stop_event()
print("ready", flush=True)
stop.wait()
print("stopping", flush=True)
"""
ENDING = "print('no queue'); raise SystemExit(3)"
OWNER = """
import sys
from tools.serve import parts
parts._ROOT = sys.argv[1]
with parts.Parts() as started:
    started.start("patient")
    started.wait()
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that has parts of its own, `patient` and `ending`, and the real `part`."""
    serve = tmp_path / "tools" / "serve"
    serve.mkdir(parents=True)
    (tmp_path / "tools" / "__init__.py").touch()
    (serve / "__init__.py").touch()
    (serve / "part.py").write_text((ROOT / "tools" / "serve" / "part.py").read_text())
    (serve / "patient.py").write_text(PATIENT)
    (serve / "ending.py").write_text(ENDING)
    monkeypatch.setattr(parts_module, "_ROOT", tmp_path)
    return tmp_path


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running(root: Path) -> list[psutil.Process]:
    """The processes whose working folder it is."""
    found = []
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(root) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_each_line_says_whose_it_is(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = ""

    def is_ready() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return "ready" in shown

    with Parts() as parts:
        parts.start("patient")
        wait_for(is_ready)
        assert running(root)
    assert shown + capsys.readouterr().out == "patient   | ready\npatient   | stopping\n"
    assert not running(root)


def test_a_part_that_ends_ends_the_whole(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Parts() as parts:
        parts.start("patient")
        parts.start("ending")
        with pytest.raises(PartEnded, match="ending ended with 3"):
            parts.wait()
    assert "ending    | no queue\n" in capsys.readouterr().out
    assert not running(root)


def test_parts_end_when_their_owner_is_killed(root: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    with owner.stdout:
        assert owner.stdout.readline() == "patient   | ready\n"
        assert len(running(root)) == 1
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        wait_for(lambda: not running(root))
