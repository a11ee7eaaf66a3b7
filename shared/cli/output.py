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


def print_lines(lines: Iterable[str], stream: TextIO | None = None) -> None:
    """Write whole lines, as they are, to `stream` (default stdout)."""
    (stream or sys.stdout).writelines(f"{line}\n" for line in lines)


def print_error(error: ReconcileError, *, as_json: bool = False) -> None:
    """One line on stderr and, `as_json`, one on stdout."""
    if as_json:
        print_lines([error_json(error)])
    print(f"reconcile: error: {printable(str(error))} [{error.code}]", file=sys.stderr)


def prepare_streams() -> None:
    """A letter that the terminal's encoding lacks is escaped, not an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def quiet_if_nobody_reads() -> Iterator[None]:
    """Leave the block quietly when the reader (`head`, say) has closed the pipe."""
    with suppress(BrokenPipeError):
        yield
        sys.stdout.flush()


def close_quietly() -> None:
    """Flush; what cannot be written is dropped, so that Python does not complain at its exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
