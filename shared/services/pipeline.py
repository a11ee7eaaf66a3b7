"""Run a generator in a thread of its own, a bounded number of items ahead of its reader.

Stages of a sweep (list the ledger, ask the contract, compare) wait for different machines; chained
through `ahead`, they overlap and memory stays that of a few pages.
"""

import queue
import threading
from collections.abc import Generator
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

_PUT_POLL_S = 0.1


class _End:
    """The end of the generator, with the error that ended it, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def ahead(source: Generator[T, None, None], items_max: int = 1) -> Generator[T, None, None]:
    """Yield what `source` yields, in order, computed up to `items_max` items ahead.

    An error in `source` is raised here. Closing this generator closes `source` in its thread.
    """
    items: queue.Queue[T | _End] = queue.Queue(items_max)
    abandoned = threading.Event()

    def put(item: T | _End) -> bool:
        while not abandoned.is_set():
            try:
                items.put(item, timeout=_PUT_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        end = _End()
        try:
            for item in source:
                if not put(item):
                    break
            source.close()
        except BaseException as error:  # not swallowed: raised in the reader's thread
            end = _End(error)
        put(end)

    thread = threading.Thread(target=copy_context().run, args=(produce,), name="ahead", daemon=True)
    thread.start()
    try:
        while not isinstance(item := items.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        abandoned.set()
        thread.join()
