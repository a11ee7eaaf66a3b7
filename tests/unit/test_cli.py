"""The command `reconcile` against fake services: exit codes, streams, the question, signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.cli.interrupt import Interrupt
from shared.cli.main import main
from shared.cli.printable import printable
from shared.cli.render_table import ROWS_MAX, print_table
from shared.core.amount import FlowAmount
from shared.core.errors import LedgerUnreachable
from shared.core.outcome import Outcome
from shared.core.review import Halt
from shared.core.run import RunState
from shared.reports.csv_report import csv_lines
from shared.services.sweep import SweepHooks
from tests.unit.cli_doubles import (
    ALICE,
    FakeServices,
    O,
    Terminal,
    json_lines,
    result,
    sweep_of,
    swept,
)
from tests.unit.runs import RUN_ID

ROOT = Path(__file__).parents[2]
HALT = Halt("most_differ", "most differ", "Look.")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    """Sit a person down who types this; returns what they see on stderr."""
    monkeypatch.setenv("TERM", "dumb")

    def sit(types: str) -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdin", Terminal(types))
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    return sit


# -- exit codes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([], 0),
        ([O.CORRECTED, O.TRANSIENT], 0),
        ([O.CORRECTED, O.CHANGED_MEANWHILE], 1),
        ([O.WOULD_CORRECT], 1),
        ([O.FAILED], 2),
        ([O.CORRECTED, O.WOULD_CORRECT, O.FAILED], 2),
    ],
)
def test_a_sweep_exits_by_its_worst_outcome(outcomes: list[Outcome], code: int) -> None:
    assert main(["--all"], FakeServices(swept(*outcomes))) == code


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.FINISHED])
def test_a_run_that_did_not_finish_exits_2_whatever_it_found(state: RunState) -> None:
    assert main(["--all"], FakeServices(swept(O.CORRECTED, state=state))) == 2


@pytest.mark.parametrize(
    ("outcome", "code"), [(O.IN_SYNC, 0), (O.CORRECTED, 0), (O.WOULD_CORRECT, 1), (O.FAILED, 2)]
)
def test_a_user_exits_by_the_outcome(outcome: Outcome, code: int) -> None:
    assert main(["--user", ALICE], FakeServices(result(outcome))) == code


def test_a_user_is_reconciled_in_the_name_of_the_admin() -> None:
    services = FakeServices(result(O.CORRECTED))
    main(["-u", ALICE, "--admin", "alice"], services)
    assert services.calls == [("reconcile", ALICE, "alice")]


def test_a_users_dry_run_only_previews() -> None:
    services = FakeServices(result(O.WOULD_CORRECT))
    assert main(["-u", ALICE, "-d"], services) == 1
    assert services.calls == [("preview", ALICE)]


# -- usage and errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--user", ALICE, "--all"],
        ["--all", "--dry"],  # an abbreviation could turn into a run that writes
        ["--all", "--csv", ""],
        ["--all", "--admin", " "],
        ["--all", "more"],
    ],
)
def test_bad_usage_exits_2_and_does_nothing(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    services = FakeServices(swept())
    assert main(argv, services) == 2
    assert not services.calls
    assert capsys.readouterr().err.startswith("reconcile: error: ")


def test_help_names_the_exit_codes_and_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert "exit codes:" in capsys.readouterr().out


def test_help_loads_neither_the_clients_nor_rich() -> None:
    code = (
        "import sys, shared.cli.main\n"
        "slow = {'rich', 'supabase', 'flow_py_sdk', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


def test_an_error_is_one_line_and_with_json_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    error = LedgerUnreachable("no ledger", remedy="Start it.")
    assert main(["--all", "--json"], FakeServices(error)) == 2
    out, err = capsys.readouterr()
    assert err == "reconcile: error: no ledger. Start it. [ledger_unreachable]\n"
    assert json_lines(out) == [
        {
            "type": "error",
            "code": "ledger_unreachable",
            "error": "no ledger. Start it.",
            "retryable": True,
        }
    ]


def test_a_bug_is_no_traceback_and_tells_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--all"], FakeServices(ValueError("s3cret"))) == 2
    err = capsys.readouterr().err
    assert "ValueError at" in err
    assert "Traceback" not in err
    assert "s3cret" not in err


def test_a_halted_run_says_why_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    answer = swept(O.WOULD_CORRECT, state=RunState.HALTED, halt=HALT)
    assert main(["--all", "--json"], FakeServices(answer)) == 2
    out, err = capsys.readouterr()
    assert (
        "error: halted, nothing was written: most differ. Look. "
        f"The command: reconcile apply {RUN_ID} --accept-halt REASON [sweep_halted]\n"
    ) in err
    assert [line["type"] for line in json_lines(out)] == ["result", "error", "summary"]
    assert json_lines(out)[-1]["state"] == "halted"


def test_a_failed_run_tells_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"error": "no ledger. Start it.", "error_code": "ledger_unreachable"}
    answer = swept(O.CORRECTED, O.WOULD_CORRECT, state=RunState.FAILED, **error)
    assert main(["--all", "--json"], FakeServices(answer)) == 2
    out, err = capsys.readouterr()
    told = "the run failed: no ledger. Start it. What it has corrected stays corrected; "
    assert f"reconcile: error: {told}" in err
    line = json_lines(out)[-2]
    assert (line["type"], line["code"]) == ("error", "ledger_unreachable")


# -- what is printed --------------------------------------------------------------------------


def test_json_is_the_results_and_then_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    answer = swept(O.CORRECTED, O.FAILED)
    main(["--all", "--json"], FakeServices(answer))
    out, err = capsys.readouterr()
    assert json_lines(out) == [
        *({"type": "result", **each.as_json()} for each in answer),
        {"type": "summary", **answer.summary.as_json()},
    ]
    assert "Users" in err


def test_json_of_a_user_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--user", ALICE, "--json"], FakeServices(result(O.CORRECTED)))
    out, err = capsys.readouterr()
    assert json_lines(out) == [{"type": "result", **result(O.CORRECTED).as_json()}]
    assert ALICE in err


def test_without_a_terminal_every_user_is_a_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--all"], FakeServices(swept(*[O.CORRECTED] * 2 * ROWS_MAX)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "0x0000000000000100  corrected  +1.50000000"
        "  ledger 1.00000000  contract 2.50000000  height 7"
    )
    assert sum(line.startswith("0x") for line in lines) == 2 * ROWS_MAX
    assert "Users                103" in lines


def test_the_table_says_how_many_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen = Terminal()
    print_table(swept(*[O.CORRECTED] * (ROWS_MAX + 7)), screen)
    assert (
        "and 7 more, not shown: reconcile runs show RUN --csv FILE gives all" in screen.getvalue()
    )


@pytest.mark.parametrize("columns", [20, 60, 80, 120])
def test_the_table_never_cuts_an_address_or_an_amount(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    most = FlowAmount(2**64 - 1)
    screen = Terminal()
    print_table(
        sweep_of((result(O.CHANGED_MEANWHILE, old_balance=FlowAmount(0), discrepancy=most),)),
        screen,
    )
    assert ALICE in screen.getvalue()
    assert "+184467440737.09551615" in screen.getvalue()


EVIL = "\x1b[2J\x07[red]x[/red]\u202e\n"


def test_a_stored_address_cannot_drive_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harmless = r"\x1b[2J\x07[red]x[/red]\u202e\n"
    assert printable(EVIL) == harmless
    bad = (result(O.WOULD_CORRECT, EVIL), result(O.FAILED, EVIL, error=EVIL))
    main(["--all"], FakeServices(sweep_of(bad)))
    main(["--user", EVIL], FakeServices(bad[1]))
    plain = capsys.readouterr().out
    assert plain.count(harmless) == 5
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")  # no colours of ours
    screen = Terminal()
    print_table(bad, screen)
    assert screen.getvalue().count(harmless) == 2
    assert not set("\x1b\x07\u202e") & set(plain + screen.getvalue())


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = (
        "import sys\n"
        "from tests.unit.cli_doubles import FakeServices, O, swept\n"
        "from shared.cli.main import main\n"
        "sys.exit(main(['--all'], FakeServices(swept(*[O.CORRECTED] * 5000))))"
    )
    ran = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert ran.stdout
    assert ran.stderr
    with ran.stdout, ran.stderr:
        ran.stdout.readline()
        ran.stdout.close()
        assert ran.stderr.read() == b""
    assert ran.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_output_that_cannot_be_written_is_an_error(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(["--all", *flags], FakeServices(swept(O.CORRECTED))) == 2
    assert "[output_failed]" in capsys.readouterr().err


# -- the report -------------------------------------------------------------------------------


def test_csv_holds_the_results_and_replaces_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "drift.csv"
    file.write_text("old")
    answer = swept(O.CORRECTED)
    assert main(["--all", "--csv", str(file)], FakeServices(answer)) == 0
    assert file.read_bytes().decode() == "".join(csv_lines(answer))
    assert os.listdir(tmp_path) == ["drift.csv"]


@pytest.mark.parametrize("name", ["missing/drift.csv", "."])
def test_csv_that_cannot_be_written_fails_before_anything_is(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services = FakeServices(swept(O.CORRECTED))
    assert main(["--all", "--csv", str(tmp_path / name)], services) == 2
    assert not services.calls
    assert "cannot be written" in capsys.readouterr().err


def test_csv_that_fails_afterwards_still_reports_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    services = FakeServices(swept(O.CORRECTED), during=lambda hooks: folder.rmdir())
    assert main(["--all", "--csv", str(folder / "drift.csv")], services) == 2
    out, err = capsys.readouterr()
    assert "0x0000000000000100  corrected" in out
    assert "[report_failed]" in err


# -- the question -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"), [("y\n", 0), ("YES\n", 0), ("n\n", 1), ("\n", 1), ("", 1)]
)
def test_a_person_is_asked_before_anything_is_written(
    answer: str, code: int, person: Callable[[str], Terminal]
) -> None:
    screen = person(answer)
    services = FakeServices(swept(O.CORRECTED, O.CORRECTED))
    assert main(["--all"], services) == code
    assert services.wrote is (code == 0)
    asked = "Correct 2 users (+1.50000000 FLOW / -0.00000001 FLOW)? [y/N]"
    assert asked in screen.getvalue()
    assert ("Declined: nothing was written." in screen.getvalue()) is (code == 1)


@pytest.mark.parametrize("argv", [["--all", "--yes"], ["--all", "--dry-run"]])
def test_a_person_is_not_asked_without_need(
    argv: list[str], person: Callable[[str], Terminal]
) -> None:
    screen = person("")
    assert main(argv, FakeServices(swept(O.CORRECTED))) == 0
    assert "[y/N]" not in screen.getvalue()


def test_nobody_is_asked_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    services = FakeServices(swept(O.CORRECTED))
    assert main(["--all"], services) == 0
    assert services.wrote
    assert capsys.readouterr().err == ""


def test_ctrl_c_at_the_question_writes_nothing_and_exits_2(
    person: Callable[[str], Terminal], monkeypatch: pytest.MonkeyPatch
) -> None:
    person("")

    class Interrupted(Terminal):
        def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]
            signal.raise_signal(signal.SIGINT)
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Interrupted())
    services = FakeServices(swept(O.CORRECTED))
    assert main(["--all"], services) == 2
    assert not services.wrote


# -- signals ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_batches_and_the_run_is_reported(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = []

    def during(hooks: SweepHooks) -> None:
        seen.append(hooks.should_stop())
        signal.raise_signal(number)
        seen.append(hooks.should_stop())

    before = signal.getsignal(number)
    services = FakeServices(swept(O.CORRECTED, state=RunState.CORRECTING), during)
    assert main(["--all", "--yes"], services) == 2
    assert seen == [False, True]
    assert signal.getsignal(number) is before
    out, err = capfd.readouterr()
    assert "stopping after the current batch" in err
    assert "To go on" in out


def test_a_second_signal_quits_at_once() -> None:
    codes: list[int] = []
    with Interrupt(quit_at_once=codes.append):
        signal.raise_signal(signal.SIGINT)
        assert codes == []
        signal.raise_signal(signal.SIGTERM)
    assert codes == [130]
