"""Ctrl-C and SIGTERM: the first stops between two batches, the second quits at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from shared.cli.exit_code import QUIT

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOPPING = "reconcile: stopping after the current batch; Ctrl-C again quits at once\n"
_QUITTING = "reconcile: quit; a batch that was being written may have been corrected\n"


class Interrupt:
    """Remembers that somebody wants the run to stop. Use as a context manager around the run."""

    def __init__(self, quit_at_once: Callable[[int], Any] = os._exit) -> None:
        # os._exit: a normal exit would wait for the threads that are reading.
        self._quit_at_once = quit_at_once
        self._before: dict[signal.Signals, Any] = {}
        self._asking = False
        self.requested = False

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None: installed by C code before us, cannot be put back from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def should_stop(self) -> bool:
        """For `SweepHooks`."""
        return self.requested

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Meanwhile a signal raises KeyboardInterrupt: a read from the terminal has no batches."""
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if self._asking:
            raise KeyboardInterrupt
        _say(_QUITTING if again else _STOPPING, show_cursor=again)
        if again:
            self._quit_at_once(QUIT)


def _say(text: str, *, show_cursor: bool) -> None:
    """Write past Python's buffers, whose locks the interrupted code may hold."""
    try:
        number = sys.stderr.fileno()
        if os.isatty(number):  # clear the progress bar's line; it has hidden the cursor
            text = "\r\x1b[2K" + ("\x1b[?25h" if show_cursor else "") + text
        os.write(number, text.encode("ascii"))
    except (OSError, ValueError):
        pass  # nobody reads
