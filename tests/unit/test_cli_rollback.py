"""`reconcile rollback`, `hold`, `release` and `holds`, over doubles of the services."""

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

import pytest

from shared.cli.main import main
from shared.cli.services import Services
from shared.core.amount import FlowAmount
from shared.core.errors import RunNotApplicable, UserNotFound
from shared.core.hold import Hold, HoldChange, HoldOutcome
from shared.core.rollback import Rollback, RollbackOutcome, RunRollback
from tests.unit.cli_doubles import ALICE, Terminal, json_lines
from tests.unit.not_asked_for import NotAskedFor
from tests.unit.runs import RUN_ID, STARTED

R = RollbackOutcome
RUN = str(RUN_ID)
WHY = ["--reason", "ticket 7"]
HELD = Hold(user_address=ALICE, held_at=STARTED, held_by="bob", reason="ticket 7", audit_id="12")


def rollback(outcome: RollbackOutcome, code: str | None = None) -> Rollback:
    return Rollback(
        audit_id="11",
        outcome=outcome,
        code=code,
        user_address=ALICE,
        old_balance=FlowAmount(250_000_000),
        new_balance=FlowAmount(100_000_000),
        rollback_audit_id="12" if outcome is R.ROLLED_BACK else None,
    )


@dataclass
class FakeServices(NotAskedFor):
    """Rollbacks and holds: dry runs answer `found`, real ones `done`; `calls` is what was asked."""

    found: list[Rollback] = field(default_factory=lambda: [rollback(R.WOULD_ROLL_BACK)])
    done: list[Rollback] = field(default_factory=lambda: [rollback(R.ROLLED_BACK)])
    change: HoldChange | Exception = field(
        default_factory=lambda: HoldChange(user_address=ALICE, outcome=HoldOutcome.HELD, hold=HELD)
    )
    listed: list[Hold] = field(default_factory=list)
    complete: bool = True
    error: Exception | None = None
    calls: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holds = self.rollbacks = self

    def audit(self, audit_id: str, admin: str, reason: str, *, dry_run: bool = False) -> Rollback:
        self.calls.append(("audit", audit_id, admin, reason, dry_run))
        return (self.found if dry_run else self.done)[0]

    def run(
        self,
        run_id: UUID,
        admin: str,
        reason: str,
        *,
        dry_run: bool = False,
        progress: Callable[[RunRollback], None],
        should_stop: Callable[[], bool],
    ) -> RunRollback:
        self.calls.append(("run", str(run_id), admin, reason, dry_run))
        if self.error:
            raise self.error
        assert not should_stop()
        made = RunRollback(run_id=run_id, dry_run=dry_run)
        made.take(self.found if dry_run else self.done)
        made.complete = self.complete or dry_run
        progress(made)
        return made

    def hold(self, *asked: object) -> HoldChange:
        self.calls.append(("hold", *asked))
        return self._changed()

    def release(self, *asked: object) -> HoldChange:
        self.calls.append(("release", *asked))
        return self._changed()

    def list(self, after: str | None = None, limit: int = 1_000) -> list[Hold]:
        later = [each for each in self.listed if after is None or each.user_address > after]
        return later[:limit]

    def _changed(self) -> HoldChange:
        if isinstance(self.change, Exception):
            raise self.change
        return self.change


def ran(arguments: Sequence[str], services: FakeServices) -> int:
    """The exit code."""
    return main(arguments, cast(Services, services))


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    """A person who types this; what they are shown."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())


# -- rollback ---------------------------------------------------------------------------------


def test_a_correction_is_looked_at_first_and_then_taken_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    services = FakeServices()
    command = ["rollback", "--audit", "11", *WHY, "--admin", "bob", "--yes"]
    assert ran(command, services) == 0
    assert services.calls == [
        ("audit", "11", "bob", "ticket 7", True),
        ("audit", "11", "bob", "ticket 7", False),
    ]
    out = capsys.readouterr().out
    assert "rolled back" in out
    assert "-1.50000000 FLOW" in out
    assert "audit row 12" in out


def test_what_is_refused_is_not_tried_and_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices(found=[rollback(R.REFUSED, "changed_meanwhile")])
    assert ran(["rollback", "--audit", "11", *WHY, "--yes", "--json"], services) == 1
    assert len(services.calls) == 1
    [line] = json_lines(capsys.readouterr().out)
    assert (line["type"], line["errorCode"]) == ("rollback", "changed_meanwhile")


def test_a_dry_run_only_looks_and_needs_no_reason(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices()
    assert ran(["rollback", "--run", RUN, "--dry-run"], services) == 0
    assert services.calls == [("run", RUN, "ADMIN", "dry run", True)]
    assert "would roll back      1" in capsys.readouterr().out


def test_a_run_is_taken_back_and_its_refusals_told(capsys: pytest.CaptureFixture[str]) -> None:
    refused = rollback(R.REFUSED, "changed_meanwhile")
    services = FakeServices(
        found=[rollback(R.WOULD_ROLL_BACK), refused], done=[rollback(R.ROLLED_BACK), refused]
    )
    assert ran(["rollback", "--run", RUN, *WHY, "--yes"], services) == 1
    assert [call[-1] for call in services.calls] == [True, False]
    out = capsys.readouterr().out
    assert f"1 refused with changed_meanwhile, such as {ALICE}" in out
    assert "reconcile release USER" in out


def test_a_stopped_rollback_exits_with_2_and_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    services = FakeServices(complete=False)
    assert ran(["rollback", "--run", RUN, *WHY, "--yes", "--json"], services) == 2
    captured = capsys.readouterr()
    assert "the same command again goes on" in captured.err
    [line] = json_lines(captured.out)
    assert (line["type"], line["complete"]) == ("run_rollback", False)


@pytest.mark.parametrize("answer", ["", "y\n", "yes\n", "c8c5973\n", f"{RUN}\n"])
def test_a_run_needs_the_beginning_of_its_id(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = at_a_terminal(monkeypatch, answer)
    services = FakeServices()
    assert ran(["rollback", "--run", RUN, *WHY], services) == 1
    assert [call[-1] for call in services.calls] == [True]
    assert "Type c8c5973a" in shown.getvalue()
    assert "Declined: nothing was written." in shown.getvalue()


def test_who_types_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, " C8C5973A \n")
    services = FakeServices()
    assert ran(["rollback", "--run", RUN, *WHY], services) == 0
    assert [call[-1] for call in services.calls] == [True, False]


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_one_correction_needs_a_yes(
    answer: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch, answer)
    services = FakeServices()
    assert ran(["rollback", "--audit", "11", *WHY], services) == code
    assert len(services.calls) == 2 - code


def test_without_a_terminal_it_wants_yes(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices()
    assert ran(["rollback", "--run", RUN, *WHY], services) == 2
    assert services.calls == []
    assert "Give --yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--audit", "11"],
        ["--audit", "11", "--run", RUN, *WHY],
        ["--run", "c8c5973a", *WHY],
        ["--run", RUN, "--reason", " "],
        ["--run", RUN, "--reason", "x" * 501],
    ],
)
def test_bad_usage_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices()
    assert ran(["rollback", *arguments], services) == 2
    assert services.calls == []
    assert "[invalid_input]" in capsys.readouterr().err


def test_an_error_is_told_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices(error=RunNotApplicable("the run goes on", remedy="Cancel it."))
    assert ran(["rollback", "--run", RUN, *WHY, "--yes"], services) == 2
    assert "[run_not_applicable]" in capsys.readouterr().err


# -- holds ------------------------------------------------------------------------------------


def test_a_user_is_held(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices()
    assert ran(["hold", ALICE, *WHY, "--admin", "bob"], services) == 0
    assert services.calls == [("hold", ALICE, "bob", "ticket 7")]
    out = capsys.readouterr().out
    assert "Held      2026-01-02T03:04:05.000Z by bob" in out
    assert "audit row 12" in out


def test_a_user_is_released_without_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    change = HoldChange(user_address=ALICE, outcome=HoldOutcome.NOT_HELD, hold=None)
    services = FakeServices(change=change)
    assert ran(["release", ALICE, "--json"], services) == 0
    assert services.calls == [("release", ALICE, "ADMIN", None)]
    captured = capsys.readouterr()
    assert json_lines(captured.out) == [
        {"type": "hold_change", "userAddress": ALICE, "outcome": "not_held", "hold": None}
    ]
    assert "not held" in captured.err


def test_a_hold_needs_a_reason_and_a_user_that_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    services = FakeServices(change=UserNotFound("no such user", remedy="Look."))
    assert ran(["hold", ALICE], services) == 2
    assert services.calls == []
    assert ran(["hold", ALICE, *WHY], services) == 2
    assert "[user_not_found]" in capsys.readouterr().err


def test_holds_are_listed_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices(listed=[HELD])
    assert ran(["holds"], services) == 0
    line = f"{ALICE}  2026-01-02T03:04:05.000Z  bob  rollback 12  ticket 7\n"
    assert capsys.readouterr().out == line
    assert ran(["holds", "--json"], services) == 0
    [shown] = json_lines(capsys.readouterr().out)
    assert (shown["type"], shown["userAddress"]) == ("hold", ALICE)


def test_nobody_held_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(["holds"], FakeServices()) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Nobody is held.\n")
