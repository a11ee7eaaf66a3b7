"""From the words of a command line to what they ask for."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from shared.cli.commands import (
    Apply,
    CancelRun,
    CheckSolvency,
    Command,
    HoldUser,
    ListAlerts,
    ListHolds,
    ListRuns,
    NewKey,
    ReconcileUser,
    ReleaseUser,
    ReportPeriod,
    ReportRun,
    ReportUser,
    Resume,
    RollBackAudit,
    RollBackRun,
    ShowRun,
    Sweep,
    TryAlerts,
    VerifyAudit,
)
from shared.cli.parsers import (
    REPORT_FORMATS,
    alerts_parser,
    apply_parser,
    cancel_parser,
    hold_parser,
    holds_parser,
    keys_parser,
    main_parser,
    new_key_parser,
    release_parser,
    report_parser,
    report_period_parser,
    report_run_parser,
    report_user_parser,
    rollback_parser,
    runs_parser,
    show_parser,
    solvency_parser,
    try_alerts_parser,
    verify_audit_parser,
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
        case ["solvency", *rest]:
            given = solvency_parser().parse_args(rest)
            return CheckSolvency(admin=_admin(given), as_json=given.json)
        case ["verify-audit", *rest]:
            given = verify_audit_parser().parse_args(rest)
            return VerifyAudit(
                user=given.user,
                until=given.until,
                only_writer=given.only_writer,
                as_json=given.json,
            )
        case ["alerts", "test", *rest]:
            return TryAlerts(as_json=try_alerts_parser().parse_args(rest).json)
        case ["alerts", *rest]:
            given = alerts_parser().parse_args(rest)
            return ListAlerts(all=given.all, as_json=given.json)
        case ["rollback", *rest]:
            return _rollback(rollback_parser().parse_args(rest))
        case ["hold", *rest]:
            given = hold_parser().parse_args(rest)
            return HoldUser(
                user=given.user, reason=given.reason, admin=_admin(given), as_json=given.json
            )
        case ["release", *rest]:
            given = release_parser().parse_args(rest)
            return ReleaseUser(
                user=given.user, reason=given.reason, admin=_admin(given), as_json=given.json
            )
        case ["holds", *rest]:
            return ListHolds(as_json=holds_parser().parse_args(rest).json)
        case ["report", *rest]:
            return _report(rest)
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


def _rollback(given: Namespace) -> RollBackAudit | RollBackRun:
    if given.reason is None and not given.dry_run:
        raise InvalidInput(
            "--reason is missing", remedy="Say why; --dry-run alone needs no reason."
        )
    reason, admin = given.reason or "dry run", _admin(given)
    if given.run is not None:
        return RollBackRun(
            run_id=given.run,
            reason=reason,
            dry_run=given.dry_run,
            admin=admin,
            as_json=given.json,
            yes=given.yes,
        )
    return RollBackAudit(
        audit_id=given.audit,
        reason=reason,
        dry_run=given.dry_run,
        admin=admin,
        as_json=given.json,
        yes=given.yes,
    )


def _report(argv: Sequence[str]) -> Command:
    match list(argv):
        case ["run", *rest]:
            given = report_run_parser().parse_args(rest)
            return ReportRun(run_id=given.run_id, **_report_options(given))
        case ["period", *rest]:
            given = report_period_parser().parse_args(rest)
            return ReportPeriod(since=given.since, until=given.until, **_report_options(given))
        case ["user", *rest]:
            given = report_user_parser().parse_args(rest)
            return ReportUser(user=given.user, **_report_options(given))
        case _:
            report_parser().parse_args(list(argv))  # for --help; there is nothing else to parse
            raise InvalidInput("nothing is asked for", remedy="See 'reconcile report --help'.")


def _report_options(given: Namespace) -> dict[str, Any]:
    """How it is written: as --format says, or as the file is called, or else as CSV."""
    ending = "" if given.output is None else given.output.suffix[1:].lower()
    chosen = given.format or (ending if ending in REPORT_FORMATS else "csv")
    return {"format": chosen, "output": given.output, "admin": _admin(given)}


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
