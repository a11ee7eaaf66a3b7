"""On what was measured."""

import os
import platform
from datetime import UTC, datetime

import psutil
import psycopg

from tools.stack import Stack
from tools.stack.emulator_binary import EMULATOR_VERSION


def machine(stack: Stack) -> dict[str, str | int | float]:
    """Date, processor and the versions of what was measured."""
    with psycopg.connect(stack.database_url) as connection:
        postgres = connection.info.server_version
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu_count": os.cpu_count() or 0,
        "cpu_model": _cpu_model(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "platform": platform.platform(),
        "python_version": platform.python_version(),
        "emulator_version": EMULATOR_VERSION,
        "postgres_version": f"{postgres // 10_000}.{postgres % 10_000}",
    }


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or "unknown"
