"""Ends processes politely, then by force."""

import contextlib
import signal
import time

import psutil

_POLITE_S = 5.0
_POLL_S = 0.01


def end_processes(processes: list[psutil.Process]) -> None:
    """Ends processes and their children, also paused ones: politely, and after 5 s by force."""
    family = set(processes)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family.update(process.children(recursive=True))
    for process in processes:
        _signal(process, _polite_signal(process))
    for process in family:
        _signal(process, signal.SIGCONT)
    for process in _still_alive(family):
        _signal(process, signal.SIGKILL)
    _still_alive(family)


def _polite_signal(process: psutil.Process) -> signal.Signals:
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.name() == "postgres":
            # SIGTERM would make it wait until all its clients have left.
            return signal.SIGINT
    return signal.SIGTERM


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _still_alive(processes: set[psutil.Process]) -> set[psutil.Process]:
    """Waits for the processes to end; returns those that have not after 5 s."""
    deadline = time.monotonic() + _POLITE_S
    alive = {process for process in processes if _is_alive(process)}
    while alive and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        alive = {process for process in alive if _is_alive(process)}
    return alive


def _is_alive(process: psutil.Process) -> bool:
    # A zombie has ended. Its parent may take seconds to notice, and a container's init never may.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
