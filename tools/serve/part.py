"""What the parts have in common: when they end, and how they call a function as Lambda does."""

import os
import signal
import threading
import time
from uuid import uuid4

_STDIN = 0


class Invocation:
    """The context of one call of a function that may run for `timeout_s`."""

    def __init__(self, function_name: str, timeout_s: float) -> None:
        self.function_name = function_name
        self.aws_request_id = str(uuid4())
        self._ends_s = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        """What is left of the time, in whole milliseconds."""
        return max(0, int((self._ends_s - time.monotonic()) * 1000))


def stop_event() -> threading.Event:
    """An event that SIGTERM sets. If the owner is gone, the process ends at once."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=_end_with_owner, daemon=True).start()
    return stop


def _end_with_owner() -> None:
    # The owner holds the other end; the system closes it when the owner dies, however that is.
    while os.read(_STDIN, 1024):
        pass
    os._exit(1)
