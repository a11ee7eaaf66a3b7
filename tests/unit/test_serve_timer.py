"""The timer of `make serve`: which function is called when, and what is told of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from functions import solvency
from tools.serve.timer import EVENT, call, tick


class Clock:
    """Waits in no time, until it has waited for `until_s`."""

    def __init__(self, until_s: float) -> None:
        self.now_s = 0.0
        self._until_s = until_s

    def wait(self, seconds: float) -> bool:
        self.now_s += seconds
        return self.now_s > self._until_s


def test_each_is_called_at_the_start_and_then_at_its_interval() -> None:
    clock = Clock(until_s=100)
    called: list[tuple[str, float]] = []
    tick(
        lambda name: called.append((name, clock.now_s)),
        clock.wait,
        {"often": 30, "seldom": 80},
        now_s=lambda: clock.now_s,
    )
    often, seldom = ([at for name, at in called if name == each] for each in ("often", "seldom"))
    assert often == [0, 30, 60, 90]
    assert seldom == [0, 80]


def test_a_call_that_takes_long_moves_the_next_one() -> None:
    clock = Clock(until_s=100)
    called: list[float] = []

    def slow(_: str) -> None:
        called.append(clock.now_s)
        clock.now_s += 50

    tick(slow, clock.wait, {"slow": 10}, now_s=lambda: clock.now_s)
    assert called == [0, 60]


def test_what_came_of_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(given: dict[str, Any], context: SimpleNamespace) -> dict[str, Any]:
        assert given == EVENT
        assert 50_000 < context.get_remaining_time_in_millis() <= 60_000
        return {"state": "solvent"}

    monkeypatch.setattr(solvency, "handler", handler)
    call("solvency")
    assert capsys.readouterr().out == 'solvency: {"state": "solvent"}\n'


def test_a_call_that_fails_is_told_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(*_: object) -> None:
        raise OSError("the database is gone")

    monkeypatch.setattr(solvency, "handler", handler)
    call("solvency")
    assert "the database is gone" in capsys.readouterr().out
