"""One asyncio event loop in a thread of its own, for a library that is asynchronous only."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


class EventLoopThread:
    """Runs coroutines for synchronous callers, all on one loop: a gRPC channel belongs to the loop
    it was made on.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, T], timeout_s: float) -> T:
        """The coroutine's result or exception; TimeoutError after `timeout_s`, with the coroutine
        cancelled.
        """
        bounded = asyncio.wait_for(coroutine, timeout_s)
        return asyncio.run_coroutine_threadsafe(bounded, self._loop).result()

    def close(self) -> None:
        """Stops the loop; `run` must not be called afterwards."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
