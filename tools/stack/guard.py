"""Ends a stack when the process that owns it is gone, however it went.

The owner starts `python -m tools.stack.guard <state folder>` and holds the other end of its stdin.
The system closes that end when the owner dies, also by SIGKILL; then the guard cleans up. A pipe
does this alike on Linux and macOS.
"""

import subprocess
import sys
import time
from pathlib import Path

from tools.stack.folder import StateFolder

_ROOT = Path(__file__).parents[2]
_SETTLE_S = 0.2


class Guard:
    """The owner's side: start it before the first server."""

    def __init__(self, folder: StateFolder) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.stack.guard", str(folder.path)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Ends the guard without its doing anything; the owner cleans up itself."""
        self._process.kill()
        self._process.communicate()


def main(path: str) -> None:
    """Waits for the end of stdin, then ends and removes the stack in `path`."""
    sys.stdin.buffer.read()
    # A server that was being started when the owner died is recognised once it has its own name.
    time.sleep(_SETTLE_S)
    folder = StateFolder(Path(path))
    with folder.locked(lambda _: None):
        folder.clean_up()


if __name__ == "__main__":
    main(sys.argv[1])
