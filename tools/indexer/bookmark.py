"""Up to which block the indexer has told everything: one number in a file."""

import json
import os
from pathlib import Path


class BookmarkError(Exception):
    """The file does not hold what an indexer has written."""


class Bookmark:
    """Survives a crash: the file is replaced as a whole, after what it stands for was told."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int | None:
        """The height, None when there is no file yet. Raises BookmarkError."""
        try:
            height = json.loads(self._path.read_text(encoding="utf-8"))["height"]
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise BookmarkError(
                f"{self._path} holds no height. Remove it to begin anew."
            ) from error
        if type(height) is not int or height < 0:
            raise BookmarkError(f"{self._path} holds no height. Remove it to begin anew.")
        return height

    def write(self, height: int) -> None:
        """Everything up to this block is told."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps({"height": height}) + "\n", encoding="utf-8")
        os.replace(new, self._path)
