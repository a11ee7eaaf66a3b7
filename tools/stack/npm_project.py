"""Programs from npm, pinned with their hashes in a folder's package-lock.json."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools.stack.cache import install_once, platform_tag
from tools.stack.errors import StackError
from tools.stack.progress import Progress


def installed_project(
    project: Path,
    name: str,
    what: str,
    progress: Progress,
    check: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """The cache folder `<name>-…` with node_modules as `project`'s lock file has them.

    `check` is given the folder when it has been filled, and may raise StackError. Raises it also
    when npm is missing or fails; `what` is being installed, in a message.
    """
    lock_hash = hashlib.sha256((project / "package-lock.json").read_bytes()).hexdigest()[:12]

    def fill(folder: Path) -> None:
        _npm_ci(project, folder, what, progress)
        check(folder)

    return install_once(f"{name}-{lock_hash}-{platform_tag()}", fill, progress)


def _npm_ci(project: Path, folder: Path, what: str, progress: Progress) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise StackError(
            "npm is not on PATH. Install Node.js 18 or newer (it brings npm) and try again."
        )
    progress(f"Installing {what} from npm (once, a few seconds)")
    shutil.copytree(project, folder, dirs_exist_ok=True)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--include=optional", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise StackError(
            f"npm ci failed; check the connection to the npm registry:\n{done.stderr[-2000:]}"
        )
