"""The schedule of `make serve`: which events sweep gets, and when a full sweep is due."""

from typing import Any

import pytest

from functions import sweep
from tools.serve.schedule import FULL, INCREMENTAL, call, tick

EVERY_S = 60.0
FULL_EVERY_S = 180.0


class Clock:
    """Waits in no time, until it has waited `ticks` times."""

    def __init__(self, ticks: int) -> None:
        self.now_s = 1000.0
        self._left = ticks

    def wait(self, seconds: float) -> bool:
        self.now_s += seconds
        self._left -= 1
        return self._left == 0


def kinds(ticks: int, runs: list[str | None]) -> list[str]:
    """What was asked for at each tick; `runs` are the kinds of the runs that it got."""
    clock, asked = Clock(ticks), list[str]()
    answers = iter(runs + [None] * ticks)

    def answer(event: dict[str, Any]) -> dict[str, Any] | None:
        asked.append({False: "full", True: "incremental"}[event["incremental"]])
        kind = next(answers)
        return None if kind is None else {"kind": kind}

    tick(
        answer,
        clock.wait,
        every_s=EVERY_S,
        full_every_s=FULL_EVERY_S,
        now_s=lambda: clock.now_s,
    )
    return asked


def test_a_full_sweep_comes_first_and_again_when_it_is_due() -> None:
    runs: list[str | None] = ["full", "incremental", "incremental", "full"]
    assert kinds(5, runs) == ["full", "incremental", "incremental", "full", "incremental"]


def test_a_full_sweep_stays_due_until_its_own_run_has_started() -> None:
    assert kinds(4, [None, "incremental", "full"]) == ["full", "full", "full", "incremental"]


def test_a_tick_says_what_came_of_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = {"kind": "full", "runId": "r-1", "state": "scanning"}
    answer = {"run": run, "resumed": False, "queued": 3}

    def handler(given: dict[str, Any], context: Any) -> dict[str, Any]:
        assert given == INCREMENTAL
        assert 50_000 < context.get_remaining_time_in_millis() <= 60_000
        return answer

    monkeypatch.setattr(sweep, "handler", handler)
    assert call(INCREMENTAL) == run
    assert capsys.readouterr().out == "full run r-1 starts: scanning, messages queued: 3\n"


def test_a_tick_that_fails_is_told_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(*_: object) -> None:
        raise OSError("the database is gone")

    monkeypatch.setattr(sweep, "handler", handler)
    assert call(FULL) is None
    assert "the database is gone" in capsys.readouterr().out
