"""The commands about stored runs: resume, apply, list, show, cancel, and what is advised when."""

import os
import re
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from shared.cli.exit_code import of_sweep
from shared.cli.main import main
from shared.cli.render_plain import failure_lines
from shared.cli.render_runs import print_runs
from shared.cli.render_summary import summary_lines
from shared.core.errors import LedgerUnreachable, RunActive, RunNotFound
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import Run, RunKind, RunState
from shared.core.sweep_result import SweepResult
from shared.reports.csv_report import csv_lines
from tests.unit.cli_doubles import (
    FakeHistory,
    FakeServices,
    O,
    Terminal,
    json_lines,
    result,
    swept,
)
from tests.unit.runs import RUN_ID, run

RUN = str(RUN_ID)
HALT = Halt("most_differ", "most differ", "Look.")


def told(run: Run) -> dict[str, str]:
    """The summary's lines, name → value."""
    pairs = (line.split("  ", 1) for line in summary_lines(run) if not line.startswith(" "))
    return {name.strip(): value.strip() for name, value in pairs}


# -- sweeps -----------------------------------------------------------------------------------


def test_a_sweep_is_asked_for_as_it_was_typed() -> None:
    services = FakeServices(swept())
    main(["--all"], services)
    main(["--all", "--incremental", "--accept-halt", "moved", "--admin", "alice"], services)
    main(["--all", "--dry-run"], services)
    assert services.calls == [
        ("sweep", "ADMIN", False, False, None),
        ("sweep", "alice", False, True, "moved"),
        ("sweep", "ADMIN", True, False, None),
    ]


def test_resume_goes_on_with_the_active_run(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices(swept(O.CORRECTED))
    assert main(["--all", "--resume"], services) == 0
    assert services.calls == [("resume",)]
    assert "corrected" in capsys.readouterr().out


def test_apply_carries_out_a_run(tmp_path: Path) -> None:
    services = FakeServices(swept(O.CORRECTED, O.CHANGED_MEANWHILE))
    file = tmp_path / "done.csv"
    argv = ["apply", RUN, "--admin", "alice", "--accept-halt", "moved", "--csv", str(file)]
    assert main(argv, services) == 1
    assert services.calls == [("apply", RUN_ID, "alice", "moved")]
    assert file.read_bytes().decode() == "".join(csv_lines(services.answer))  # type: ignore[arg-type]


@pytest.mark.parametrize("argv", [["--all", "--resume"], ["apply", RUN]])
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1)])
def test_a_person_is_asked_before_a_run_goes_on(
    argv: list[str], answer: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    services = FakeServices(swept(O.CORRECTED))
    assert main(argv, services) == code
    assert services.wrote is (code == 0)
    assert "Correct 2 users (+1.50000000 FLOW / -0.00000001 FLOW)? [y/N]" in screen.getvalue()


def test_a_person_who_overrides_the_safety_stop_is_told_what_it_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    monkeypatch.setattr(sys, "stderr", screen)
    main(["apply", RUN, "--accept-halt", "x"], FakeServices(swept(O.CORRECTED, halt=HALT)))
    assert "-0.00000001 FLOW), although most differ? [y/N]" in screen.getvalue()


@pytest.mark.parametrize("argv", [["--all"], ["--all", "--resume"], ["apply", RUN]])
def test_another_active_run_is_an_error_that_says_what_to_do_about_it(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = RunActive("run x is correcting", remedy="Wait.")
    assert main([*argv, "--json"], FakeServices(error)) == 2
    out, err = capsys.readouterr()
    assert "error: run x is correcting. Wait for it, go on with it if nobody does " in err
    assert "(reconcile --all --resume), or end it (reconcile runs cancel RUN). [run_active]" in err
    assert json_lines(out)[0]["code"] == "run_active"


def test_declining_is_no_failure_but_a_failed_user_is() -> None:
    declined = swept(O.WOULD_CORRECT, state=RunState.DECLINED).summary
    assert of_sweep(declined, declined=True) == 1
    assert of_sweep(declined) == 2, "somebody else has declined it"
    failed = swept(O.WOULD_CORRECT, O.FAILED, state=RunState.DECLINED).summary
    assert of_sweep(failed, declined=True) == 2


# -- what is advised --------------------------------------------------------------------------


def test_a_finished_run_needs_no_advice() -> None:
    last = list(told(run()))[-1]
    assert last == "Duration"


def test_a_dry_run_that_found_something_can_be_applied() -> None:
    found = {O.IN_SYNC: 8, O.WOULD_CORRECT: 2}
    assert told(run(dry_run=True, outcomes=found))["To correct"] == f"reconcile apply {RUN}"
    assert "To correct" not in told(run(dry_run=True, outcomes={O.IN_SYNC: 10}))


def test_a_stop_while_correcting_can_be_resumed_or_ended() -> None:
    outcomes = {O.IN_SYNC: 7, O.CORRECTED: 2, O.WOULD_CORRECT: 1}
    lines = told(run(state=RunState.CORRECTING, outcomes=outcomes, finished_at=None))
    assert lines["Correcting"] == "not finished: 1 of 3 discrepancies are undecided"
    assert lines["To go on"] == "reconcile --all --resume"
    assert lines["To end it"] == f"reconcile runs cancel {RUN}"
    assert "Duration" not in lines


def test_a_dry_run_cannot_be_resumed_only_ended() -> None:
    lines = told(run(state=RunState.SCANNING, dry_run=True, scanned_at=None, finished_at=None))
    assert "To go on" not in lines
    assert lines["To end it"] == f"reconcile runs cancel {RUN}"


def test_a_halted_run_can_be_applied_with_a_reason() -> None:
    lines = told(run(state=RunState.HALTED, halt=HALT))
    assert lines["Halted"] == "nothing was written: most differ. Look."
    assert lines["To accept"] == f"reconcile apply {RUN} --accept-halt REASON"


def test_who_accepted_a_halt_and_why_is_shown() -> None:
    lines = told(run(halt=HALT, accepted_halt="ticket 4711"))
    assert lines["Overridden"] == "most differ; accepted because: ticket 4711"


def test_a_scan_that_was_stopped_has_written_nothing_and_is_no_plan() -> None:
    lines = told(run(state=RunState.CANCELLED, scanned_at=None, outcomes={O.WOULD_CORRECT: 3}))
    assert lines["Cancelled"] == "the scan was stopped early and nothing was written"
    assert "To correct" not in lines


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (RunState.CANCELLED, "what was corrected stays corrected"),
        (RunState.DECLINED, "nothing was written"),
        (RunState.AWAITING_APPROVAL, "nothing was written"),
    ],
)
def test_what_was_found_and_not_written_can_be_applied_later(state: RunState, why: str) -> None:
    lines = told(run(state=state, outcomes={O.IN_SYNC: 7, O.WOULD_CORRECT: 3}))
    assert lines[state.replace("_", " ").capitalize()] == why
    assert lines["To correct"] == f"reconcile apply {RUN}"


def test_a_failed_run_tells_its_error() -> None:
    lines = told(run(state=RunState.FAILED, error="down. Wait.", error_code="x"))
    assert lines["Failed"] == "down. Wait."


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        (
            {"kind": RunKind.INCREMENTAL, "from_height": 5, "covered_height": 9},
            "incremental, with the events of blocks 5 to 9",
        ),
        (
            {"kind": RunKind.INCREMENTAL, "from_height": 5, "covered_height": 4},
            "incremental, without a new block since the run before",
        ),
        ({"fallback_reason": "no run yet"}, "full, in place of incremental: no run yet"),
        ({"kind": RunKind.PLAN, "plan_run_id": UUID(int=1)}, f"carries out {UUID(int=1)}"),
    ],
)
def test_the_summary_says_whom_a_run_looked_at(changes: dict[str, object], kind: str) -> None:
    assert told(run(**changes))["Kind"] == kind
    assert "Kind" not in told(run())


def test_the_summary_says_when_who_and_how_much() -> None:
    lines = told(run(unread=1))
    assert lines["Started"] == "2026-01-02 03:04:05 UTC by ADMIN"
    assert lines["Coverage"] == "90 %"
    assert lines["Heights"] == "7 to 9"


def test_stored_text_cannot_drive_the_terminal() -> None:
    evil = "\x1b[2J"
    lines = list(summary_lines(run(state=RunState.FAILED, error=evil, admin_address=evil)))
    assert sum(r"\x1b[2J" in line for line in lines) == 2
    assert not any("\x1b" in line for line in lines)


# -- the list ---------------------------------------------------------------------------------


def test_the_list_is_a_line_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    history = FakeHistory([run(), run(state=RunState.SCANNING, dry_run=True, finished_at=None)])
    assert main(["runs", "--limit", "7"], history) == 0
    assert history.calls == [("list", 7, None)]
    assert capsys.readouterr().out.splitlines() == [
        f"{RUN}  2026-01-02T03:04:05.000Z  full  apply  finished  users 10  discrepancies 3"
        "  corrected 1  failed 0  1.5 s",
        f"{RUN}  2026-01-02T03:04:05.000Z  full  dry  scanning  users 10  discrepancies 3"
        "  corrected 1  failed 0",
    ]


def test_the_list_as_json_is_a_run_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"], FakeHistory([run()])) == 0
    assert json_lines(capsys.readouterr().out) == [{"type": "run", **run().as_json()}]


def test_an_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"], FakeHistory()) == 0
    assert capsys.readouterr() == ("", "No run is stored yet.\n")
    assert main(["runs", "--json"], FakeHistory()) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("columns", "seen", "unseen"),
    [
        (160, ["Run", "Mode", "Differ", "Users", "Kind", "Duration", "1.5 s"], []),
        (120, ["Run", "Mode", "State", "Differ", "Corrected", "Failed", "Users"], ["Duration"]),
        (80, ["Run", "Started (UTC)", "Mode", "State"], ["Differ"]),
        (40, ["discrepancies 3"], ["Started (UTC)"]),
    ],
)
def test_the_table_has_as_many_columns_as_fit_and_never_cuts_an_id(
    columns: int, seen: list[str], unseen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    screen = Terminal()
    print_runs([run(), run(state=RunState.AWAITING_APPROVAL, kind=RunKind.INCREMENTAL)], screen)
    text = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert text.count(RUN) == 2
    assert [each for each in seen if each not in text] == []
    assert [each for each in unseen if each in text] == []
    if columns > 40:
        assert max(len(line) for line in text.splitlines()) <= columns


def test_a_terminal_gets_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["runs"], FakeHistory([run()])) == 0
    assert "Started (UTC)" in screen.getvalue()


# -- one run ----------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_results_and_exits_0_whatever_it_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    history = FakeHistory(shown=swept(O.FAILED, O.WOULD_CORRECT, state=RunState.HALTED, halt=HALT))
    assert main(["runs", "show", RUN], history) == 0
    assert history.calls == [("show", RUN_ID)]
    out, err = capsys.readouterr()
    assert "0x0000000000000100  failed" in out
    assert "Halted" in out
    assert err == ""


def test_a_run_is_shown_as_json_without_an_error_line(capsys: pytest.CaptureFixture[str]) -> None:
    shown = swept(O.WOULD_CORRECT, state=RunState.HALTED, halt=HALT)
    assert main(["runs", "show", RUN, "--json"], FakeHistory(shown=shown)) == 0
    assert json_lines(capsys.readouterr().out) == [
        {"type": "result", **shown[0].as_json()},
        {"type": "summary", **shown.summary.as_json()},
    ]


def test_a_run_is_saved_as_csv(tmp_path: Path) -> None:
    file, shown = tmp_path / "run.csv", swept(O.CORRECTED)
    assert main(["runs", "show", RUN, "--csv", str(file)], FakeHistory(shown=shown)) == 0
    assert file.read_bytes().decode() == "".join(csv_lines(shown))
    missing = str(tmp_path / "missing" / "run.csv")
    history = FakeHistory()
    assert main(["runs", "show", RUN, "--csv", missing], history) == 2
    assert not history.calls


def test_an_unknown_run_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = RunNotFound("there is no run x", remedy="See 'reconcile runs'.")
    assert main(["runs", "show", RUN, "--json"], FakeHistory(shown=error)) == 2
    assert main(["runs", "cancel", RUN], FakeHistory(cancelled=error)) == 2
    assert capsys.readouterr().err.count("there is no run x") == 2


def test_cancelling_says_how_the_run_stands(capsys: pytest.CaptureFixture[str]) -> None:
    history = FakeHistory()
    assert main(["runs", "cancel", RUN], history) == 0
    assert history.calls == [("cancel", RUN_ID)]
    assert "Cancelled" in capsys.readouterr().out


def test_ctrl_c_while_runs_are_shown_quits_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    class Slow(FakeHistory):
        def show(self, run_id: UUID) -> SweepResult:
            signal.raise_signal(signal.SIGINT)
            return super().show(run_id)

    # As at a terminal; a job in the background is started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["runs", "show", RUN], Slow()) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr() == ("", "")


# -- many results -----------------------------------------------------------------------------


class Endless(Sequence[ReconciliationResult]):
    """Results that are made while they are read, as those of a stored run are."""

    def __init__(self, count: int, outcome: Outcome) -> None:
        self._count = count
        self._outcome = outcome

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ReconciliationResult]:
        return (result(self._outcome, f"0x{number:016x}") for number in range(self._count))

    def __getitem__(self, index: object) -> ReconciliationResult:  # type: ignore[override]
        raise AssertionError("results are iterated over")


def peak_bytes(work: Callable[[], object]) -> int:
    work()  # what is loaded once is loaded
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("flags", [[], ["--json"], ["--csv"]])
def test_memory_does_not_grow_with_the_results(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["runs", "show", RUN, *flags, *([str(tmp_path / "x.csv")] if "--csv" in flags else [])]
    few = FakeHistory(shown=swept(*[O.FAILED] * 60))
    many = FakeHistory(shown=SweepResult(run(), Endless(2_000, O.FAILED)))
    with open(os.devnull, "w") as devnull:
        monkeypatch.setattr(sys, "stdout", devnull)
        most = peak_bytes(lambda: main(argv, few)) + 200_000
        assert peak_bytes(lambda: main(argv, many)) < most


def test_failures_are_counted_without_being_kept() -> None:
    def lines() -> list[str]:
        return list(failure_lines(Endless(2_000, O.FAILED)))

    assert lines() == [f"2,000 failed with broken, such as 0x{0:016x}: It broke. Mend it."]
    assert peak_bytes(lines) < 200_000


class Breaking(Endless):
    """Results of which only the first can be read."""

    def __iter__(self) -> Iterator[ReconciliationResult]:
        yield result(O.CORRECTED)
        raise LedgerUnreachable("no ledger", remedy="Start it.")


BROKEN = SweepResult(run(), Breaking(5, O.CORRECTED))


def test_results_that_cannot_be_read_leave_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all", "--yes", "--json"], FakeServices(BROKEN)) == 2
    out, err = capsys.readouterr()
    assert [line["type"] for line in json_lines(out)] == ["result", "error", "summary"]
    assert json_lines(out)[1]["code"] == "ledger_unreachable"
    told = f"could not be read: no ledger. Start it. Then: reconcile runs show {RUN}"
    assert told in err
    assert main(["runs", "show", RUN], FakeHistory(shown=BROKEN)) == 2
    assert "Users" in capsys.readouterr().out


def test_a_report_of_results_that_cannot_be_read_replaces_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.csv"
    file.write_text("old")
    assert main(["runs", "show", RUN, "--csv", str(file)], FakeHistory(shown=BROKEN)) == 2
    assert capsys.readouterr().err.count("[ledger_unreachable]") == 2
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.csv"]
