"""`python -m tools.stack up|down|status`: this checkout's stack, in `.stack/` and `.env.local`."""

import argparse
import sys
from pathlib import Path

from tools.stack.env_file import check_may_write, read_env_file, remove_env_file, write_env_file
from tools.stack.errors import StackError
from tools.stack.folder import StateFolder
from tools.stack.progress import Progress, stderr_progress
from tools.stack.stack import start_in

_ROOT = Path(__file__).parents[2]
# What `status` of an init script returns for it.
_NOT_RUNNING = 3


def main() -> int:
    """Returns 0 when done (`status`: if it runs), 1 after an error, 3 if `status` finds it down."""
    parser = argparse.ArgumentParser(prog="python -m tools.stack", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status"])
    parser.add_argument("--root", type=Path, default=_ROOT, help="folder of .stack and .env.local")
    arguments = parser.parse_args()
    try:
        if arguments.command == "up":
            return up(arguments.root, stderr_progress())
        if arguments.command == "down":
            return down(arguments.root, stderr_progress())
        return status(arguments.root)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; what was started is ended.", file=sys.stderr)
        return 130


def up(root: Path, progress: Progress) -> int:
    """Starts the stack and leaves it running; if it runs already, says so."""
    folder, env_file = _places(root)
    check_may_write(env_file)
    with folder.locked(progress):
        if folder.ports() and folder.running().keys() == folder.ports().keys():
            write_env_file(env_file, read_env_file(folder.env_file))
            progress("The stack is running already; `make stack-down` ends it")
            return 0
        stack = start_in(folder, progress, guarded=False)
        write_env_file(env_file, stack.env)
    progress(f"The stack is up. Its settings are in {env_file.name}; `make stack-down` ends it")
    return 0


def down(root: Path, progress: Progress) -> int:
    """Ends the stack, or what a killed start left of it, and removes its files."""
    folder, env_file = _places(root)
    with folder.locked(progress):
        found = folder.clean_up()
    found = remove_env_file(env_file) or found
    progress("The stack is down" if found else "No stack was running")
    return 0


def status(root: Path) -> int:
    """Prints a line for each server; 0 only if all of them run."""
    folder, _ = _places(root)
    ports = folder.ports()
    pids = folder.running()
    for name, port in ports.items():
        state = f"running, pid {pids[name]}, port {port}" if name in pids else "not running"
        print(f"{name}: {state}")
    if not ports:
        print("No stack is running.")
    return 0 if ports and pids.keys() == ports.keys() else _NOT_RUNNING


def _places(root: Path) -> tuple[StateFolder, Path]:
    return StateFolder(root / ".stack"), root / ".env.local"


if __name__ == "__main__":
    sys.exit(main())
