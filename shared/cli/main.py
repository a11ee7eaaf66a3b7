"""The entry point: parse, run, and turn every error into a line and an exit code."""

import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from shared.cli import exit_code
from shared.cli.arguments import parse
from shared.cli.output import (
    close_quietly,
    prepare_streams,
    print_error,
)
from shared.cli.run import run
from shared.cli.services import Services
from shared.core.errors import ReconcileError


def main(argv: Sequence[str] | None = None, services: Services | None = None) -> int:
    """Run the command `reconcile` and return its exit code; `--help` raises SystemExit(0).

    `services` is for tests; by default they are made from the settings.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    prepare_streams()
    try:
        return run(parse(arguments), services)
    except ReconcileError as error:
        return _failed(error, arguments)
    except KeyboardInterrupt:  # of a command that only shows something
        return exit_code.QUIT
    except Exception as error:
        return _failed(_unexpected(error), arguments)
    finally:
        close_quietly()


def _failed(error: ReconcileError, arguments: Sequence[str]) -> int:
    with suppress(OSError):  # there is no place left to say so
        print_error(error, as_json="--json" in arguments)
    return exit_code.FAILED


def _unexpected(error: Exception) -> ReconcileError:
    """A bug of ours. The place, not the message: that one may hold a secret."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return ReconcileError(
        f"unexpected {type(error).__name__} at {last.filename}:{last.lineno}",
        remedy="This is a bug, please report it; a dry run shows what is left to correct.",
    )
