"""A file that an option names: either all of it is there or what was there before."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from shared.core.errors import InvalidInput


class OutputFile:
    """Making one checks that it can be written; raises InvalidInput if not."""

    def __init__(self, path: Path, option: str) -> None:
        self.given = path
        self._option = option
        self._path = path.resolve()  # a link stays a link
        # Replacing /dev/null by a file, say, would harm everyone else on the machine.
        if path.exists() and not path.is_file():
            raise self._refused("it is no regular file", "Give the name of a file.")
        if not self._path.parent.is_dir():
            raise self._refused(f"there is no folder {self._path.parent}", "Make the folder first.")
        try:
            tempfile.TemporaryFile(dir=self._path.parent).close()
        except OSError as error:
            raise self._refused(
                f"the folder cannot be written to ({error.strerror})",
                "Give a folder that you may write to.",
            ) from error

    def replace(self, write: Callable[[IO[bytes]], object]) -> None:
        """Let it be written beside the file, then put it in its place. Raises OSError."""
        beside = self._path.with_name(f".{self._path.name[:100]}.{os.getpid()}.tmp")
        try:
            with open(beside, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self._path)
        finally:
            beside.unlink(missing_ok=True)

    def _refused(self, fault: str, remedy: str) -> InvalidInput:
        return InvalidInput(
            f"{self._option} {self.given} cannot be written: {fault}",
            remedy=f"{remedy} Nothing was done.",
        )
