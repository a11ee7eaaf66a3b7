"""One event loop in one daemon thread a process, for libraries that are only async.

A gRPC channel belongs to the loop that it was made on; with one loop for the process's life, a
warm invocation reuses the channel, and callers may themselves be inside a running loop.
"""

import asyncio
import threading
from collections.abc import Coroutine
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines on its own loop for callers of any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="flow-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for the coroutine; returns its value or raises its error in the caller's thread."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


@cache
def shared_loop_thread() -> LoopThread:
    """The process's loop thread, started at first use."""
    return LoopThread()
