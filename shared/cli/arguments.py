"""What the command accepts, and its help."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from shared.core.admin import DEFAULT_ADMIN_ADDRESS, check_admin_address
from shared.core.errors import InvalidInput

_DESCRIPTION = """\
Compare the ledger's balances with the contract's, and correct the ledger where they differ.
Every correction leaves an audit row."""

_EPILOG = """\
examples:
  reconcile --user 0x0000000000000005             correct one user
  reconcile --user 0x0000000000000005 --dry-run   look at one user, write nothing
  reconcile --all --dry-run                       look at everyone, write nothing
  reconcile --all --admin alice                   correct everyone; asks first at a terminal
  reconcile --all --yes --csv drift.csv           correct everyone unasked, keep a report
  reconcile --all --dry-run --json | jq -r 'select(.type == "result") | .userAddress'

exit codes:
  0    everyone is in sync or was corrected
  1    balances still differ: a dry run found some, a row moved meanwhile, or you declined
  2    somebody failed, the run is incomplete (halted, stopped, an error), or bad usage or settings
  130  quit at once by a second Ctrl-C

Ctrl-C stops between two batches and says what was done; what was corrected stays corrected.
Settings come from the environment, or from .env.local when SUPABASE_URL is not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A valid command line. `user` None means everyone."""

    user: str | None
    dry_run: bool
    admin: str
    as_json: bool
    csv: Path | None
    yes: bool


def parse(argv: Sequence[str]) -> Options:
    """Read the command line. Raises InvalidInput; `--help` prints and raises SystemExit(0)."""
    given = _parser().parse_args(argv)
    return Options(
        user=given.user,
        dry_run=given.dry_run,
        admin=check_admin_address(given.admin),
        as_json=given.json,
        csv=given.csv,
        yes=given.yes,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report bad usage like every other error."""
        raise InvalidInput(message, remedy="See 'reconcile --help'.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="reconcile",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # a mistyped --dry must not become a run that writes
    )
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", "-u", metavar="ADDRESS", help="reconcile this user")
    who.add_argument("--all", "-a", action="store_true", help="reconcile everyone in the ledger")
    parser.add_argument("--dry-run", "-d", action="store_true", help="look only, write nothing")
    parser.add_argument(
        "--admin",
        metavar="ADDRESS",
        default=DEFAULT_ADMIN_ADDRESS,
        help="who acts, for the audit rows (default: %(default)s)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="JSON lines on stdout: each user not in sync (or the one asked for), then the "
        "summary of --all; text for people goes to stderr",
    )
    parser.add_argument(
        "--csv", metavar="FILE", type=_file, help="write the results to this file as well"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before --all writes (a terminal is asked)"
    )
    return parser


def _file(text: str) -> Path:
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError("give the name of a file")
    return Path(text)
