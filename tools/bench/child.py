"""A process that does one sweep and prints what memory that took, as JSON. Linux only."""

import json
import re
import sys
import time
from pathlib import Path

from shared.bootstrap import services
from shared.core.outcome import Outcome
from tools.bench.sweep import ADMIN


def main() -> int:
    """Sweep the ledger of the environment's settings and read every result once."""
    sweeper = services().sweeper
    rss_mb_start = _memory_mb("VmRSS")
    began = time.perf_counter()
    result = sweeper.sweep(ADMIN, dry_run=False)
    corrected = sum(each.outcome is Outcome.CORRECTED for each in result)
    answer = {
        "seconds": time.perf_counter() - began,
        "corrected": corrected,
        "rss_mb_start": rss_mb_start,
        # Not getrusage: its maximum still counts the process that this one was forked from.
        "rss_mb_peak": _memory_mb("VmHWM"),
    }
    print(json.dumps(answer))
    return 0


def _memory_mb(field: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None, f"/proc/self/status has no {field}"
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
