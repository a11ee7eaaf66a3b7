"""Processor time of the stack's servers and of this process."""

import time

import psutil

from tools.stack import Stack


def cpu_s(stack: Stack) -> dict[str, float]:
    """Processor seconds used so far, of all cores together, by program."""
    used = {server.name: _family_s(psutil.Process(server.pid)) for server in stack.servers}
    return used | {"Python": time.process_time()}


def used_since(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """Processor seconds between two answers of `cpu_s`."""
    return {name: now[name] - before[name] for name in before}


def _family_s(process: psutil.Process) -> float:
    # PostgreSQL works in children. The parent comes last: those that have ended by then are in
    # its account.
    children_s = sum(_used_s(child) for child in process.children(recursive=True))
    own = process.cpu_times()
    return float(children_s + own.user + own.system + own.children_user + own.children_system)


def _used_s(child: psutil.Process) -> float:
    try:
        times = child.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
