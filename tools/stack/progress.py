"""Lines that tell a person what the stack is doing, and since when."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str], None]


def stderr_progress() -> Progress:
    """Returns a function that writes `[  1.2 s] text` to stderr; the clock starts now."""
    began = time.monotonic()

    def show(text: str) -> None:
        # One write a line: lines of the threads that start servers must not mix.
        sys.stderr.write(f"[{time.monotonic() - began:6.1f} s] {text}\n")
        sys.stderr.flush()

    return show


@contextmanager
def heartbeat(progress: Progress, text: str, every_s: float = 15.0) -> Iterator[None]:
    """Repeats `text` with the elapsed time while the body runs: silence looks like a hang."""
    done = threading.Event()
    began = time.monotonic()

    def beat() -> None:
        while not done.wait(every_s):
            progress(f"{text} ({time.monotonic() - began:.0f} s so far)")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
