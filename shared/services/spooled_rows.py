"""Rows read once from where they are stored, to be read here as often as a report needs them.

What a report counts, checks and lists are then the same rows, even while others are being written.
"""

import pickle
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Any, Generic, TypeVar

T = TypeVar("T")

ROWS_IN_MEMORY_MAX = 10_000
BLOCK_ROWS = 1_000


class SpooledRows(Generic[T]):
    """Keeps 10,000 rows in memory and the others in a file without a name, gone with this object.

    Not to be used by two threads at a time.
    """

    def __init__(self, rows: Iterable[T]) -> None:
        rest = iter(rows)
        self._first: list[T] = list(islice(rest, ROWS_IN_MEMORY_MAX))
        self._length = len(self._first)
        self._offsets: list[int] = []
        self._file: IO[bytes] | None = None
        while block := list(islice(rest, BLOCK_ROWS)):
            self._append(block)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        yield from self._first
        for offset in self._offsets:
            yield from self._block(offset)

    def _append(self, block: list[T]) -> None:
        file = self._opened()
        self._offsets.append(file.tell())
        pickle.dump(block, file, pickle.HIGHEST_PROTOCOL)
        self._length += len(block)

    def _block(self, offset: int) -> list[T]:
        file = self._opened()
        file.seek(offset)
        block: list[T] = pickle.load(file)  # our own, from a file that nobody else can open
        return block

    def _opened(self) -> "IO[bytes]":
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with this object)
            weakref.finalize(self, _close, self._file)
        return self._file


def _close(file: IO[Any]) -> None:
    file.close()
