"""The env file that `make stack-up` leaves for the functions, the CLI and other tools."""

from pathlib import Path

from tools.stack.errors import StackError
from tools.stack.server import write_secret

_MARK = "# Written by `make stack-up`, removed by `make stack-down`. For a throw-away stack only."


def write_env_file(path: Path, env: dict[str, str]) -> None:
    """Writes `NAME=value` lines for the owner's eyes only; raises what check_may_write does."""
    check_may_write(path)
    lines = [_MARK, *(f"{name}={value}" for name, value in env.items())]
    write_secret(path, "\n".join(lines) + "\n")


def read_env_file(path: Path) -> dict[str, str]:
    """What write_env_file wrote."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check_may_write(path: Path) -> None:
    """Raises StackError if the file is there and not the stack's: it may hold real keys."""
    if path.exists() and not _is_ours(path):
        raise StackError(f"{path} was not written by the stack. Move it away and try again.")


def remove_env_file(path: Path) -> bool:
    """Removes the file if it is the stack's; returns whether it did."""
    if not path.exists() or not _is_ours(path):
        return False
    path.unlink()
    return True


def _is_ours(path: Path) -> bool:
    return path.read_text(errors="replace").startswith(_MARK)
