"""The options of every command."""

import argparse
import re
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from shared.cli import help_texts
from shared.core.access import KEY_NAME, Role, parse_role
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.errors import InvalidInput
from shared.core.hold import check_reason
from shared.core.moment import parse_moment

LIMIT_DEFAULT = 20
LIMIT_MAX = 1_000
REASON_CHARS_MAX = 200
REPORT_FORMATS = ("csv", "json", "pdf")

_RUN_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report bad usage like every other error."""
        raise InvalidInput(message, remedy=f"See '{self.prog} --help'.")


def main_parser() -> argparse.ArgumentParser:
    """`reconcile` without a command word."""
    parser = _parser("reconcile", help_texts.MAIN, help_texts.MAIN_MORE)
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", "-u", metavar="ADDRESS", help="reconcile this user")
    who.add_argument("--all", "-a", action="store_true", help="reconcile everyone in the ledger")
    parser.add_argument("--dry-run", "-d", action="store_true", help="look only, write nothing")
    parser.add_argument(
        "--incremental",
        action="store_true",
        help="with --all: look only at users whom the contract's events name since the last run, "
        "those whom it left unsettled, and the next part of the others",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="with --all: go on with the run that is not finished, as it was started",
    )
    _add_accept_halt(parser)
    _add_admin(parser)
    _add_json(
        parser,
        "JSON lines on stdout: each user not in sync (or the one asked for), then the "
        "summary of --all; text for people goes to stderr",
    )
    _add_csv(parser)
    _add_yes(parser, "do not ask before --all writes (a terminal is asked)")
    return parser


def apply_parser() -> argparse.ArgumentParser:
    """`reconcile apply`."""
    parser = _parser("reconcile apply", help_texts.APPLY, help_texts.APPLY_MORE)
    _add_run(parser, "the run whose findings are to be corrected")
    _add_accept_halt(parser)
    _add_admin(parser)
    _add_json(parser, "JSON lines on stdout: each user not in sync, then the summary")
    _add_csv(parser)
    _add_yes(parser, "do not ask before writing (a terminal is asked)")
    return parser


def runs_parser() -> argparse.ArgumentParser:
    """`reconcile runs`."""
    parser = _parser("reconcile runs", help_texts.RUNS, help_texts.RUNS_MORE)
    parser.add_argument(
        "--limit",
        metavar="N",
        type=_limit,
        default=LIMIT_DEFAULT,
        help="how many, 1 to 1000 (default: %(default)s)",
    )
    _add_json(parser, "a JSON line for each run")
    return parser


def show_parser() -> argparse.ArgumentParser:
    """`reconcile runs show`."""
    parser = _parser("reconcile runs show", help_texts.SHOW, help_texts.SHOW_MORE)
    _add_run(parser, "the run to show")
    _add_json(parser, "JSON lines on stdout: each user not in sync, then the summary")
    _add_csv(parser)
    return parser


def cancel_parser() -> argparse.ArgumentParser:
    """`reconcile runs cancel`."""
    parser = _parser("reconcile runs cancel", help_texts.CANCEL, help_texts.CANCEL_MORE)
    _add_run(parser, "the run to end")
    return parser


def solvency_parser() -> argparse.ArgumentParser:
    """`reconcile solvency`."""
    parser = _parser("reconcile solvency", help_texts.SOLVENCY, help_texts.SOLVENCY_MORE)
    _add_admin(parser)
    _add_json(parser, "a JSON line with the check on stdout; text for people goes to stderr")
    return parser


def verify_audit_parser() -> argparse.ArgumentParser:
    """`reconcile verify-audit`."""
    parser = _parser(
        "reconcile verify-audit", help_texts.VERIFY_AUDIT, help_texts.VERIFY_AUDIT_MORE
    )
    parser.add_argument("--user", "-u", metavar="ADDRESS", help="this user's rows only")
    parser.add_argument(
        "--until",
        metavar="DATE",
        type=_moment,
        help="the digest is of what was written before, UTC (default: until five minutes ago)",
    )
    parser.add_argument(
        "--only-writer",
        action="store_true",
        help="nobody but the reconciler writes the ledger: a balance without an audit row is wrong",
    )
    _add_json(parser, "a JSON line on stdout; text for people goes to stderr")
    return parser


def alerts_parser() -> argparse.ArgumentParser:
    """`reconcile alerts`."""
    parser = _parser("reconcile alerts", help_texts.ALERTS, help_texts.ALERTS_MORE)
    parser.add_argument("--all", action="store_true", help="those that are over as well")
    _add_json(parser, "a JSON line for each alert, then one for each message not delivered")
    return parser


def try_alerts_parser() -> argparse.ArgumentParser:
    """`reconcile alerts test`."""
    parser = _parser("reconcile alerts test", help_texts.TRY_ALERTS, help_texts.TRY_ALERTS_MORE)
    _add_json(parser, "a JSON line for each channel: channel, and error or null")
    return parser


def rollback_parser() -> argparse.ArgumentParser:
    """`reconcile rollback`."""
    parser = _parser("reconcile rollback", help_texts.ROLLBACK, help_texts.ROLLBACK_MORE)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--audit", metavar="ID", help="the correction of this audit row")
    what.add_argument(
        "--run", metavar="RUN", type=_run_id, help="all corrections of this run: its whole id"
    )
    parser.add_argument("--dry-run", "-d", action="store_true", help="look only, write nothing")
    _add_reason(parser, "why; kept in the audit rows and with the holds (needed to write)")
    _add_admin(parser)
    _add_json(parser, "a JSON line on stdout; text for people goes to stderr")
    _add_yes(parser, "do not ask first")
    return parser


def hold_parser() -> argparse.ArgumentParser:
    """`reconcile hold`."""
    parser = _parser("reconcile hold", help_texts.HOLD, help_texts.HOLD_MORE)
    _add_held_user(parser)
    _add_reason(parser, "why; kept with the hold", required=True)
    _add_admin(parser)
    _add_json(parser, "a JSON line on stdout; text for people goes to stderr")
    return parser


def release_parser() -> argparse.ArgumentParser:
    """`reconcile release`."""
    parser = _parser("reconcile release", help_texts.RELEASE, help_texts.RELEASE_MORE)
    _add_held_user(parser)
    _add_reason(parser, "why; kept with the hold")
    _add_admin(parser)
    _add_json(parser, "a JSON line on stdout; text for people goes to stderr")
    return parser


def holds_parser() -> argparse.ArgumentParser:
    """`reconcile holds`."""
    parser = _parser("reconcile holds", help_texts.HOLDS, help_texts.HOLDS_MORE)
    _add_json(parser, "a JSON line for each hold")
    return parser


def report_parser() -> argparse.ArgumentParser:
    """`reconcile report`, which does nothing by itself."""
    return _parser("reconcile report", help_texts.REPORT, help_texts.REPORT_MORE)


def report_run_parser() -> argparse.ArgumentParser:
    """`reconcile report run`."""
    parser = _parser("reconcile report run", help_texts.REPORT_RUN, help_texts.REPORT_RUN_MORE)
    parser.add_argument(
        "run_id", metavar="RUN", type=_run_or_latest, help="the run's whole id, or 'latest'"
    )
    return _as_report(parser)


def report_period_parser() -> argparse.ArgumentParser:
    """`reconcile report period`."""
    parser = _parser(
        "reconcile report period", help_texts.REPORT_PERIOD, help_texts.REPORT_PERIOD_MORE
    )
    parser.add_argument(
        "--since", metavar="DATE", type=_moment, required=True, help="from then on, UTC"
    )
    parser.add_argument(
        "--until", metavar="DATE", type=_moment, help="before then, UTC (default: now)"
    )
    return _as_report(parser)


def report_user_parser() -> argparse.ArgumentParser:
    """`reconcile report user`."""
    parser = _parser("reconcile report user", help_texts.REPORT_USER, help_texts.REPORT_USER_MORE)
    parser.add_argument("user", metavar="ADDRESS", help="the user")
    return _as_report(parser)


def keys_parser() -> argparse.ArgumentParser:
    """`reconcile keys`, which does nothing by itself."""
    return _parser("reconcile keys", help_texts.KEYS, help_texts.KEYS_MORE)


def new_key_parser() -> argparse.ArgumentParser:
    """`reconcile keys new`."""
    parser = _parser("reconcile keys new", help_texts.NEW_KEY, help_texts.NEW_KEY_MORE)
    parser.add_argument(
        "name", metavar="NAME", type=_key_name, help="whose it is; audit rows name its requests so"
    )
    parser.add_argument(
        "--role",
        metavar="ROLE",
        type=_role,
        default=Role.VIEWER,
        help=f"{', '.join(Role)} (default: %(default)s)",
    )
    _add_json(parser, "one JSON object on stdout: name, role, key and setting")
    return parser


def _as_report(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "--format",
        choices=REPORT_FORMATS,
        help="how to write it (default: as FILE is called, or else csv)",
    )
    parser.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        type=_file,
        help="where to; - is stdout (default: a name that says what it is, in this folder)",
    )
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        help=f"who makes it, for its first page (default: {DEFAULT_ADMIN_ADDRESS})",
    )
    return parser


def _parser(prog: str, description: str, epilog: str) -> _Parser:
    return _Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a mistyped --dry must not become a run that writes
    )


def _add_run(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("run_id", metavar="RUN", type=_run_id, help=f"{text}: its whole id")


def _add_accept_halt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-halt",
        metavar="REASON",
        type=_reason,
        help="correct even if the safety stop says that this is no drift; the reason is kept",
    )


def _add_held_user(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("user", metavar="USER", help="the user's address, in any spelling")


def _add_reason(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    parser.add_argument("--reason", metavar="TEXT", type=_why, required=required, help=text)


def _add_admin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        help=f"who acts, for the audit rows (default: {DEFAULT_ADMIN_ADDRESS})",
    )


def _add_json(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--json", action="store_true", help=text)


def _add_csv(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--csv", metavar="FILE", type=_file, help="write the results to this file as well"
    )


def _add_yes(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--yes", action="store_true", help=text)


def _file(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("give the name of a file")
    return Path(text)


def _key_name(text: str) -> str:
    if not KEY_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            "give 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
        )
    return text


def _role(text: str) -> Role:
    try:
        return parse_role(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _run_id(text: str) -> UUID:
    if not _RUN_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text[:60]!r} is no run id; give all 36 characters, as 'reconcile runs' prints them"
        )
    return UUID(text)


def _run_or_latest(text: str) -> UUID | None:
    return None if text == "latest" else _run_id(text)


def _moment(text: str) -> datetime:
    try:
        return parse_moment(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _reason(text: str) -> str:
    reason = text.strip()
    if not reason or len(reason) > REASON_CHARS_MAX or not reason.isprintable():
        raise argparse.ArgumentTypeError(
            f"say why in one line of 1 to {REASON_CHARS_MAX} characters"
        )
    return reason


def _why(text: str) -> str:
    try:
        return check_reason(text)
    except InvalidInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LIMIT_MAX):
        raise argparse.ArgumentTypeError(f"give a whole number from 1 to {LIMIT_MAX}")
    return int(text)
