"""The options of every command."""

import argparse
import re
from pathlib import Path
from typing import NoReturn
from uuid import UUID

from shared.cli import help_texts
from shared.core.access import KEY_NAME, Role, parse_role
from shared.core.admin import DEFAULT_ADMIN_ADDRESS
from shared.core.errors import InvalidInput

LIMIT_DEFAULT = 20
LIMIT_MAX = 1_000
REASON_CHARS_MAX = 200

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


def _reason(text: str) -> str:
    reason = text.strip()
    if not reason or len(reason) > REASON_CHARS_MAX or not reason.isprintable():
        raise argparse.ArgumentTypeError(
            f"say why in one line of 1 to {REASON_CHARS_MAX} characters"
        )
    return reason


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LIMIT_MAX):
        raise argparse.ArgumentTypeError(f"give a whole number from 1 to {LIMIT_MAX}")
    return int(text)
