"""What the command accepts and refuses; a refused command line does nothing."""

from pathlib import Path
from uuid import UUID

import pytest

from shared.cli.arguments import parse
from shared.cli.commands import (
    Apply,
    CancelRun,
    ListRuns,
    NewKey,
    ReconcileUser,
    Resume,
    ShowRun,
    Sweep,
)
from shared.cli.main import main
from shared.core.access import Role
from shared.core.errors import InvalidInput
from tests.unit.cli_doubles import ALICE, FakeHistory, FakeServices, swept
from tests.unit.runs import RUN_ID

RUN = str(RUN_ID)


def test_a_user() -> None:
    assert parse(["-u", ALICE, "-d", "--json", "--csv", "x.csv"]) == ReconcileUser(
        user=ALICE, dry_run=True, admin="ADMIN", as_json=True, csv=Path("x.csv")
    )


def test_everyone() -> None:
    assert parse(["-a", "--incremental", "--accept-halt", " moved ", "--admin", "a"]) == Sweep(
        dry_run=False,
        incremental=True,
        accept_halt="moved",
        admin="a",
        as_json=False,
        csv=None,
        yes=False,
    )
    assert parse(["--all", "--dry-run", "--incremental"]).dry_run  # type: ignore[union-attr]


def test_the_run_that_is_not_finished() -> None:
    assert parse(["--all", "--resume", "--yes"]) == Resume(as_json=False, csv=None, yes=True)


def test_an_earlier_run() -> None:
    assert parse(["apply", RUN.upper(), "--accept-halt", "moved", "--yes", "--json"]) == Apply(
        run_id=RUN_ID, accept_halt="moved", admin="ADMIN", as_json=True, csv=None, yes=True
    )


def test_the_runs() -> None:
    assert parse(["runs"]) == ListRuns(limit=20, as_json=False)
    assert parse(["runs", "--limit", "1000", "--json"]) == ListRuns(limit=1000, as_json=True)
    assert parse(["runs", "show", RUN, "--csv", "x"]) == ShowRun(
        run_id=RUN_ID, as_json=False, csv=Path("x")
    )
    assert parse(["runs", "cancel", RUN]) == CancelRun(run_id=UUID(RUN))


def test_a_new_key() -> None:
    assert parse(["keys", "new", "alice"]) == NewKey(name="alice", role=Role.VIEWER, as_json=False)
    assert parse(["keys", "new", "ci.1", "--role", "delegate", "--json"]) == NewKey(
        name="ci.1", role=Role.DELEGATE, as_json=True
    )


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        ([], "--user/-u --all/-a is required"),
        (["--user", ALICE, "--all"], "not allowed with"),
        (["--all", "--dry"], "unrecognized arguments: --dry"),  # could become a run that writes
        (["--all", "--csv", ""], "--csv: give the name of a file"),
        (["--all", "--admin", " "], "the admin address is blank"),
        (["--all", "--admin", ""], "the admin address is blank"),
        (["--all", "more"], "unrecognized arguments: more"),
        (["--resume"], "--user/-u --all/-a is required"),
        (["--user", ALICE, "--incremental"], "--incremental goes with --all"),
        (["--user", ALICE, "--resume"], "--resume goes with --all"),
        (["--user", ALICE, "--accept-halt", "why"], "--accept-halt goes with --all"),
        (["--all", "--resume", "--dry-run"], "--dry-run cannot be given with --resume"),
        (["--all", "--resume", "--incremental"], "--incremental cannot be given with --resume"),
        (["--all", "--resume", "--admin", "a"], "--admin cannot be given with --resume"),
        (["--all", "--resume", "--accept-halt", "x"], "--accept-halt cannot be given with"),
        (["--all", "--dry-run", "--accept-halt", "x"], "--accept-halt cannot be given with"),
        (["--all", "--accept-halt", " "], "--accept-halt: say why in one line of 1 to 200"),
        (["--all", "--accept-halt", "x" * 201], "--accept-halt: say why in one line"),
        (["--all", "--accept-halt", "two\nlines"], "--accept-halt: say why in one line"),
        (["apply"], "required: RUN"),
        (["apply", RUN, "--dry-run"], "unrecognized arguments: --dry-run"),
        (["apply", RUN, "--admin", " "], "the admin address is blank"),
        (["apply", RUN[:8]], "RUN: 'c8c5973a' is no run id; give all 36 characters"),
        (["runs", "show", RUN.replace("-", "")], "is no run id"),
        (["runs", "show", f"{{{RUN}}}"], "is no run id"),
        (["runs", "cancel", f"{RUN}\n"], "is no run id"),
        (["runs", "cancel"], "required: RUN"),
        (["runs", "list"], "unrecognized arguments: list"),
        (["runs", "--limit", "0"], "--limit: give a whole number from 1 to 1000"),
        (["runs", "--limit", "1001"], "--limit: give a whole number from 1 to 1000"),
        (["runs", "--limit", "²"], "--limit: give a whole number from 1 to 1000"),
        (["runs", "--limit", "-1"], "--limit: "),
        (["keys"], "nothing is asked for"),
        (["keys", "list"], "unrecognized arguments: list"),
        (["keys", "new"], "required: NAME"),
        (["keys", "new", "a b"], "NAME: give 1 to 64 letters"),
        (["keys", "new", "a@example.com"], "NAME: give 1 to 64 letters"),
        (["keys", "new", "a" * 65], "NAME: give 1 to 64 letters"),
        (["keys", "new", "ä"], "NAME: give 1 to 64 letters"),
        (["keys", "new", "a", "--role", "root"], "a role is one of viewer, admin, delegate"),
    ],
)
def test_bad_usage_says_what_is_wrong(argv: list[str], fault: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(argv)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    "argv", [[], ["--all", "--resume", "--dry-run"], ["apply", "x"], ["apply", RUN, "--al"]]
)
def test_bad_usage_exits_2_and_does_nothing(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    services, history = FakeServices(swept()), FakeHistory()
    assert main(argv, services) == 2
    assert main(["runs", "cancel", "x"], history) == 2
    assert not services.calls
    assert not history.calls
    assert capsys.readouterr().err.startswith("reconcile: error: ")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ([], "exit codes:"),
        (["apply"], "usage: reconcile apply [-h]"),
        (["runs"], "reconcile runs cancel RUN"),
        (["runs", "show"], "usage: reconcile runs show [-h]"),
        (["keys"], "reconcile keys new NAME"),
        (["keys", "new"], "usage: reconcile keys new [-h]"),
        (["runs", "cancel"], "What it has corrected stays corrected"),
    ],
)
def test_every_command_has_help_with_an_example(
    argv: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*argv, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert told in out
    assert "example" in out
    assert all(len(line) <= 100 for line in out.splitlines())


def test_bad_usage_points_to_the_help_of_its_command() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(["runs", "show", "x"])
    assert refused.value.remedy == "See 'reconcile runs show --help'."
