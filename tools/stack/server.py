"""What the three servers have in common: a process to start, wait for, stop and start again."""

import os
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import psutil

from tools.stack.errors import StackError
from tools.stack.folder import StateFolder
from tools.stack.ports import free_ports
from tools.stack.processes import end_processes
from tools.stack.progress import Progress

_READY_S = 60.0
_START_ATTEMPTS = 5
_POLL_S = 0.05


class Server(ABC):
    """One server of a stack. It keeps its ports when it is stopped and started again."""

    name: str
    port_count = 1
    user: int | None = None

    def __init__(self, folder: StateFolder, progress: Progress) -> None:
        self.folder = folder
        self.log = folder.logs / f"{self.name}.log"
        self._progress = progress
        self._ports: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that clients use; chosen at the first start."""
        return self._ports[0]

    @property
    def pid(self) -> int:
        """The server's process; valid after start()."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    def start(self) -> None:
        """Starts the server, returns when it answers. Raises StackError with the end of its log."""
        chosen = bool(self._ports)
        for attempt in range(_START_ATTEMPTS):
            if not chosen:
                self._ports = free_ports(self.port_count)
            elif attempt:
                time.sleep(0.2)
            self._spawn()
            if self._wait_ready():
                self._progress(f"{self.name} answers on 127.0.0.1:{self.port}")
                return
        raise StackError(
            f"{self.name}: another program took its port {_START_ATTEMPTS} times. Try again."
        )

    def stop(self) -> None:
        """Ends the server, also a paused one; clients are refused from then on."""
        if self._process is None:
            return
        if self._process.poll() is None:
            end_processes([psutil.Process(self._process.pid)])
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Freezes the server: it answers nothing and refuses nothing, so its clients time out."""
        for process in self._family():
            process.suspend()

    def resume(self) -> None:
        """Undoes pause()."""
        for process in self._family():
            process.resume()

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; by one argument, a path of the state folder, the process is known."""

    @abstractmethod
    def answers(self) -> bool:
        """True once a real request was answered; False while it was not."""

    def environment(self) -> dict[str, str]:
        """The whole environment of the server; the caller's own does not leak into it."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}

    def _spawn(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd="/",
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C is for the process that owns the stack, which then ends it in order.
                start_new_session=True,
                user=self.user,
                group=self.user,
                extra_groups=None if self.user is None else [],
            )

    def _wait_ready(self) -> bool:
        """Returns False if another program has the port; raises StackError for any other fault."""
        assert self._process is not None
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                if "address already in use" in self._log_text().lower():
                    return False
                raise StackError(
                    f"{self.name} ended at once. The end of its log:\n{self._log_end()}"
                )
            if self.answers():
                return True
            time.sleep(_POLL_S)
        raise StackError(
            f"{self.name} did not answer in {_READY_S:.0f} s. Its log:\n{self._log_end()}"
        )

    def _family(self) -> list[psutil.Process]:
        # The parent first: a paused parent makes no new children while the others are being paused.
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]

    def _log_text(self) -> str:
        return self.log.read_text(errors="replace")

    def _log_end(self) -> str:
        return "\n".join(self._log_text().splitlines()[-15:])


def write_secret(path: Path, content: str, owner: int | None = None) -> None:
    """Writes a file that only its owner can read, at no moment anybody else."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(content)
    if owner is not None:
        os.chown(path, owner, owner)
