"""The parts as processes of their own: started, shown with a prefix on each line, ended together.

Each is `python -m tools.serve.<name>`. One that outlives this process ends by itself, because its
standard input does (see `part.py`).
"""

import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Self

import psutil

from tools.stack.processes import end_processes

NAME_CHARS = 9
"""The longest name; the lines of all parts begin in the same column."""

_ROOT = Path(__file__).parents[2]


class PartEnded(Exception):
    """A part ended by itself, so the whole is not what it should be. The text names it."""


class Parts:
    """Ends all parts at the end of a `with`."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._ended: SimpleQueue[str] = SimpleQueue()

    def start(self, name: str, *arguments: str, keep: tuple[int, ...] = ()) -> None:
        """Starts a part; it inherits the environment and the file descriptors of `keep`."""
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", f"tools.serve.{name}", *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            pass_fds=keep,
            # A Ctrl-C is for the process that owns the parts, which then ends them in order.
            start_new_session=True,
        )
        assert process.stdout is not None
        self._processes[name] = process
        reader = threading.Thread(target=self._show, args=(name, process.stdout), daemon=True)
        self._readers.append(reader)
        reader.start()

    def wait(self) -> None:
        """Returns never: raises PartEnded when a part has ended, KeyboardInterrupt at Ctrl-C."""
        name = self._ended.get()
        code = self._processes[name].wait()
        raise PartEnded(f"The part {name} ended with {code}; its last lines say why.")

    def end(self) -> None:
        """Ends what runs: politely, and after 5 s by force. Returns when all lines are shown."""
        running = [each for each in self._processes.values() if each.poll() is None]
        end_processes([psutil.Process(process.pid) for process in running])
        for process in self._processes.values():
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        for reader in self._readers:
            reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def _show(self, name: str, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                # One write a line: the lines of the parts must not mix.
                sys.stdout.write(f"{name:<{NAME_CHARS}} | {line.rstrip()}\n")
                sys.stdout.flush()
        self._ended.put(name)
