"""The state folder of one stack: its paths, its lock, and which processes are the stack's."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tools.stack.errors import StackError
from tools.stack.processes import end_processes
from tools.stack.progress import Progress

_PROGRAMS = frozenset({"postgres", "initdb", "postgrest", "emulator", "flow-emulator"})


class StateFolder:
    """One stack's folder. All follows from its path, so what a killed start left can be found."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.env_file = self.path / "env"
        self.postgrest_config = self.path / "postgrest.conf"
        # The emulator keeps its chain in memory; the path only marks the process as this stack's.
        self.chain = self.path / "chain"
        self.logs = self.path / "logs"
        self._ports_file = self.path / "ports.json"
        # PostgreSQL refuses to run as root, so it runs as `nobody`, who may not enter this folder.
        self.nobody_folder = _nobody_folder(self.path) if os.geteuid() == 0 else None
        self.postgres_home = self.nobody_folder or self.path
        self.data = self.postgres_home / "postgres-data"

    def create(self) -> None:
        """Makes the folders inside; hold the lock. Raises StackError if there is anything in it."""
        for entry in self.path.iterdir():
            raise StackError(f"{self.path} is not empty ({entry.name}). Name another folder.")
        self.path.chmod(0o700)
        self.logs.mkdir()
        if self.nobody_folder:
            self._create_nobody_folder(self.nobody_folder)

    def _create_nobody_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o711)
        except FileExistsError as error:
            raise StackError(f"{folder} is in the way. Remove it and try again.") from error
        folder.chmod(0o711)

    @contextlib.contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Keeps other commands off this stack; a process that dies lets go of the lock.

        The folder is there meanwhile, and removed in the end if it is empty.
        """
        while (handle := self._try_lock(progress)) is None:
            pass
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                self.path.rmdir()
            os.close(handle)

    def _try_lock(self, progress: Progress) -> int | None:
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress("Another command is at work on this stack: waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Whoever held the lock may have removed the folder that we waited for.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), self.path.stat()):
                return handle
        os.close(handle)
        return None

    def record_ready(self, ports: dict[str, int]) -> None:
        """Writes down each server's port: the stack is complete."""
        self._ports_file.write_text(json.dumps(ports, indent=2) + "\n")

    def ports(self) -> dict[str, int]:
        """What record_ready wrote: name -> port; empty if no start was completed."""
        try:
            ports: dict[str, int] = json.loads(self._ports_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return ports

    def running(self) -> dict[str, int]:
        """Servers of a completed start that are alive: name -> pid."""
        ports = self.ports()
        return {name: process.pid for name, process in self._named_processes() if name in ports}

    def processes(self) -> list[psutil.Process]:
        """All living processes of this stack, also those of a start that was not completed."""
        return [process for _, process in self._named_processes()]

    def _named_processes(self) -> Iterator[tuple[str, psutil.Process]]:
        # Known by a path of this folder as one whole argument: a pid may be somebody else's by now,
        # and is not yet written down when a start is killed at the wrong moment.
        names = {
            str(self.data): "PostgreSQL",
            str(self.postgrest_config): "PostgREST",
            f"--dbpath={self.chain}": "Flow emulator",
        }
        for process in psutil.process_iter(["cmdline"]):
            arguments = process.info["cmdline"] or [""]
            if os.path.basename(arguments[0]) in _PROGRAMS:
                for argument in names.keys() & arguments:
                    yield names[argument], process

    def clean_up(self) -> bool:
        """Ends the stack's processes and removes what it wrote; returns whether there was anything.

        Hold the lock. Nothing else in the folder is touched.
        """
        processes = self.processes()
        end_processes(processes)
        own = [entry for entry in self._own_entries() if entry.exists()]
        for entry in own:
            _remove(entry)
        if self.nobody_folder and _is_mine(self.nobody_folder):
            _remove(self.nobody_folder)
        return bool(processes or own)

    def _own_entries(self) -> list[Path]:
        return [
            self._ports_file,
            self.env_file,
            self.postgrest_config,
            self.logs,
            self.path / "postgres-data",
            self.path / "postgres-password",
        ]


def _nobody_folder(path: Path) -> Path:
    # /tmp itself: everybody may pass through it, which is not sure of $TMPDIR.
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path("/tmp") / f"balance-reconciliation-{digest}"


def _is_mine(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    # A process that is just ending may still write a file into a folder that is being emptied.
    for _ in range(20):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    raise StackError(f"{path} could not be removed. Remove it by hand.")
