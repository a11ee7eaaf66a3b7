"""osls from npm, pinned with its hashes in npm/package-lock.json."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.stack.npm_project import installed_project
from tools.stack.progress import Progress

_PROJECT = Path(__file__).parent / "npm"
_PROGRAM = Path("node_modules/osls/bin/serverless.js")
_SHOWN_MAX = 4_000


class DeployError(Exception):
    """osls could not be run or failed; the message is what it printed last."""


def osls(
    arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], progress: Progress
) -> str:
    """Run osls on a folder's serverless.yml; returns what it printed.

    It takes nothing from the environment but `env`. Raises DeployError, StackError.
    """
    done = subprocess.run(
        command(arguments, progress),
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode != 0:
        shown = done.stdout[-_SHOWN_MAX:]
        raise DeployError(f"osls {' '.join(arguments)} failed:\n{shown}")
    return done.stdout


def command(arguments: Sequence[str], progress: Progress) -> list[str]:
    """What runs osls, which is installed for it. Raises DeployError, StackError."""
    node = shutil.which("node")
    if node is None:
        raise DeployError("node is not on PATH. Install Node.js 20 or newer and try again.")
    program = installed_project(_PROJECT, "osls", "osls", progress) / _PROGRAM
    return [node, str(program), *arguments]
