"""Writing to stdout and stderr, whatever they are and whoever has stopped reading."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TextIO

from shared.cli.printable import printable
from shared.cli.render_json import error_json
from shared.core.errors import ReconcileError


class OutputFailed(ReconcileError):
    """The run is over, but stdout or stderr took no more of its output."""

    code = "output_failed"


def print_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Write whole lines, as they are, to `stream` (default stdout)."""
    (stream or sys.stdout).writelines(f"{line}\n" for line in lines)


def print_error(error: ReconcileError, *, as_json: bool = False) -> None:
    """One line on stderr and, `as_json`, one on stdout."""
    print(f"reconcile: error: {printable(str(error))} [{error.code}]", file=sys.stderr)
    if as_json:
        print_lines([error_json(error)])


def prepare_streams() -> None:
    """A letter that the terminal's encoding lacks is escaped, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def writing() -> Iterator[None]:
    """Around the writing: quiet when the reader (`head`, say) has left, OutputFailed otherwise."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        raise OutputFailed(
            f"the output could not be written ({error.strerror})",
            remedy="What was corrected is in the ledger's audit log.",
        ) from error


def close_quietly() -> None:
    """Flush; what cannot be written is dropped, so that Python does not complain at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
