"""From the words of a command line to what they ask for."""

from argparse import Namespace
from collections.abc import Sequence

from shared.cli.commands import (
    Apply,
    CancelRun,
    Command,
    ListRuns,
    NewKey,
    ReconcileUser,
    Resume,
    ShowRun,
    Sweep,
)
from shared.cli.parsers import (
    apply_parser,
    cancel_parser,
    keys_parser,
    main_parser,
    new_key_parser,
    runs_parser,
    show_parser,
)
from shared.core.admin import DEFAULT_ADMIN_ADDRESS, check_admin_address
from shared.core.errors import InvalidInput


def parse(argv: Sequence[str]) -> Command:
    """Read the command line. Raises InvalidInput; `--help` prints and raises SystemExit(0)."""
    match list(argv):
        case ["apply", *rest]:
            return _apply(apply_parser().parse_args(rest))
        case ["runs", "show", *rest]:
            given = show_parser().parse_args(rest)
            return ShowRun(run_id=given.run_id, as_json=given.json, csv=given.csv)
        case ["runs", "cancel", *rest]:
            return CancelRun(run_id=cancel_parser().parse_args(rest).run_id)
        case ["runs", *rest]:
            given = runs_parser().parse_args(rest)
            return ListRuns(limit=given.limit, as_json=given.json)
        case ["keys", "new", *rest]:
            given = new_key_parser().parse_args(rest)
            return NewKey(name=given.name, role=given.role, as_json=given.json)
        case ["keys", *rest]:
            keys_parser().parse_args(rest)  # for --help; there is nothing else to parse
            raise InvalidInput("nothing is asked for", remedy="See 'reconcile keys --help'.")
        case _:
            return _main(main_parser().parse_args(argv))


def _apply(given: Namespace) -> Apply:
    return Apply(
        run_id=given.run_id,
        accept_halt=given.accept_halt,
        admin=_admin(given),
        as_json=given.json,
        csv=given.csv,
        yes=given.yes,
    )


def _main(given: Namespace) -> Command:
    if given.user is not None:
        _refuse(given, "--incremental", "--resume", "--accept-halt", why="goes with --all")
        return ReconcileUser(
            user=given.user,
            dry_run=given.dry_run,
            admin=_admin(given),
            as_json=given.json,
            csv=given.csv,
        )
    if given.resume:
        why = "cannot be given with --resume, which goes on with a run as it was started"
        _refuse(given, "--dry-run", "--incremental", "--accept-halt", "--admin", why=why)
        return Resume(as_json=given.json, csv=given.csv, yes=given.yes)
    if given.dry_run:
        _refuse(given, "--accept-halt", why="cannot be given with --dry-run, which never halts")
    return Sweep(
        dry_run=given.dry_run,
        incremental=given.incremental,
        accept_halt=given.accept_halt,
        admin=_admin(given),
        as_json=given.json,
        csv=given.csv,
        yes=given.yes,
    )


def _admin(given: Namespace) -> str:
    return check_admin_address(DEFAULT_ADMIN_ADDRESS if given.admin is None else given.admin)


def _refuse(given: Namespace, *options: str, why: str) -> None:
    for option in options:
        if getattr(given, option[2:].replace("-", "_")) not in (None, False):
            raise InvalidInput(f"{option} {why}", remedy="See 'reconcile --help'.")
