"""The cache folder for programs that are fetched or built once, and shared by all checkouts."""

import fcntl
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.stack.progress import Progress, heartbeat

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def cache_root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/balance-reconciliation`; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and must be ignored.
    folder = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return folder / "balance-reconciliation"


def platform_tag() -> str:
    """`<os>-<arch>` as Go spells them, for instance `linux-amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine)}"


def install_once(name: str, fill: Callable[[Path], None], progress: Progress) -> Path:
    """Returns the cache folder `name`, and fills it first if it is not there.

    `fill` is given an empty folder that gets its name only when `fill` has returned: a folder of
    that name is always complete. One process fills at a time; others wait and use its work.
    """
    target = cache_root() / name
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(
        target.with_name(f".{name}.lock"), f"{name} is being installed elsewhere", progress
    ):
        if target.is_dir():
            return target
        partial = target.with_name(f".{name}.partial")
        # Left over only if its maker was killed: we hold the lock.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            fill(partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


@contextmanager
def locked(path: Path, busy: str, progress: Progress) -> Iterator[None]:
    """Holds the file's lock while the body runs; waits for it, and says `busy` then."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress(f"{busy}: waiting for it")
            with heartbeat(progress, "Still waiting"):
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
