"""The command over the real use cases, on a ledger, a contract and a run store in memory."""

import os
import signal
from typing import Any

import pytest

from shared.cli.main import main
from shared.core.policy import Policy
from tests.unit.cli_doubles import json_lines
from tests.unit.users import user
from tests.unit.worlds import World

USERS = 200


def drifted(differing: int, **policy: Any) -> World:
    """`differing` of 200 users have 1 unit too much in the ledger; 50 users a chunk."""
    return World(
        {user(n): n + (n <= differing) for n in range(1, USERS + 1)},
        {user(n): n for n in range(1, USERS + 1)},
        Policy(**{"settle_s": 0, "batch_size": 50, **policy}),
    )


def interrupt_if(now: bool) -> None:
    """Ctrl-C, once: a second one would quit."""
    if now:
        os.kill(os.getpid(), signal.SIGINT)


def told(capsys: pytest.CaptureFixture[str], world: World, *argv: str) -> tuple[int, Any]:
    """The exit code and the last JSON line."""
    code = main([*argv, "--json"], world)
    return code, json_lines(capsys.readouterr().out)[-1]


def test_a_dry_run_is_applied_later(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(20)
    code, found = told(capsys, world, "--all", "--dry-run")
    assert (code, found["outcomes"]["would_correct"], world.ledger.audit) == (1, 20, [])
    code, done = told(capsys, world, "apply", found["runId"], "--admin", "alice")
    assert (code, done["outcomes"]["corrected"], done["planRunId"]) == (0, 20, found["runId"])
    assert len(world.ledger.audit) == 20
    assert main(["runs"], world) == 0
    listed = capsys.readouterr().out
    assert listed.index(done["runId"]) >= 0
    assert "plan  apply  finished  users 200  discrepancies 20  corrected 20" in listed


def test_a_halted_run_is_applied_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(150)
    code, halted = told(capsys, world, "--all")
    assert (code, halted["state"], world.ledger.audit) == (2, "halted", [])
    code, again = told(capsys, world, "apply", halted["runId"])
    assert (code, again["state"], world.ledger.audit) == (2, "halted", [])
    code, done = told(capsys, world, "apply", halted["runId"], "--accept-halt", "ticket 4711")
    assert (code, done["state"], done["acceptedHalt"]) == (0, "finished", "ticket 4711")
    assert done["halt"]["reason"] == "most_differ"
    assert len(world.ledger.audit) == 150


def test_a_stop_while_correcting_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(100, halt_share=1)
    scan_calls = USERS // 50
    world.contract.before_script = lambda call: interrupt_if(call == scan_calls)
    code, stopped = told(capsys, world, "--all", "--yes")
    assert (code, stopped["state"]) == (2, "correcting")
    assert 0 < stopped["outcomes"]["corrected"] < 100
    assert main(["--all", "--yes"], world) == 2, "one run that writes at a time"
    assert "[run_active]" in capsys.readouterr().err
    code, done = told(capsys, world, "--all", "--resume")
    assert (code, done["runId"], done["state"]) == (0, stopped["runId"], "finished")
    assert len(world.ledger.audit) == done["outcomes"]["corrected"] == 100


def test_a_stop_while_scanning_cancels(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(20)
    world.contract.before_script = lambda call: interrupt_if(call == 0)
    code, stopped = told(capsys, world, "--all", "--yes")
    assert (code, stopped["state"], world.ledger.audit) == (2, "cancelled", [])
    world.contract.before_script = lambda call: None
    code, error = told(capsys, world, "--all", "--resume")
    assert (code, error["code"]) == (2, "run_not_found")
    assert main(["--all"], world) == 0


def test_a_stopped_run_is_shown_and_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(20, settle_s=60)
    sleep = world.clock.sleep

    def interrupted(duration_s: float) -> None:
        interrupt_if(not world.clock.sleeps)
        sleep(duration_s)

    world.clock.sleep = interrupted  # type: ignore[method-assign]
    _, stopped = told(capsys, world, "--all", "--yes")
    assert stopped["state"] == "correcting"
    code, shown = told(capsys, world, "runs", "show", stopped["runId"])
    assert (code, shown) == (0, {**shown, "runId": stopped["runId"], "state": "correcting"})
    assert main(["runs", "cancel", stopped["runId"]], world) == 0
    assert f"To correct           reconcile apply {stopped['runId']}" in capsys.readouterr().out
    assert main(["runs", "cancel", stopped["runId"]], world) == 0, "again changes nothing"
    capsys.readouterr()
    world.clock.sleep = sleep  # type: ignore[method-assign]
    _, finished = told(capsys, world, "--all", "--yes")
    assert main(["runs", "cancel", finished["runId"]], world) == 2, "it has ended otherwise"
    assert "[run_not_applicable]" in capsys.readouterr().err


def test_an_incremental_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    world = drifted(0)
    _, first = told(capsys, world, "--all", "--incremental")
    assert (first["kind"], first["fallbackReason"]) == ("full", "no finished run to go on from")
    _, second = told(capsys, world, "--all", "--incremental")
    assert (second["kind"], second["fallbackReason"]) == ("incremental", None)
    assert second["fromHeight"] == first["coveredHeight"] + 1
