"""How much memory a sweep takes, each in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from tools.bench.errors import BenchError
from tools.bench.world import World


def sweep_in_child(world: World, variables: Mapping[str, str]) -> dict[str, Any]:
    """Sweep the ledger in a new process; what tools.bench.child prints. Raises BenchError."""
    expected = world.differing()
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench.child"],
        env=dict(variables),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"the sweep in a process of its own failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    world.require_corrected(answer["corrected"], expected)
    return answer
