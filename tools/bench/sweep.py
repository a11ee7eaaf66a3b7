"""Sweeps that correct real drift, timed from the public call to its answer."""

import time
from dataclasses import dataclass

from shared.bootstrap import services
from shared.core.outcome import Outcome
from shared.services.sweep import SweepHooks
from tools.bench.calls import Calls, counted
from tools.bench.cpu import cpu_s, used_since
from tools.bench.errors import BenchError
from tools.bench.world import World

ADMIN = "bench"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep. `first_result_s`: until the first batch was compared, which has drift in it."""

    seconds: float
    first_result_s: float
    calls: Calls
    cpu_s: dict[str, float]


def sweep(world: World) -> Sweep:
    """Let the ledger drift and correct it. Raises BenchError unless all of it is corrected."""
    world.drift()
    made = services()
    compared_s: list[float] = []

    def watch(phase: str, done: int, total: int | None) -> None:
        del total
        if phase == "scan" and done:
            compared_s.append(time.perf_counter())

    before = cpu_s(world.stack)
    with counted() as calls:
        began = time.perf_counter()
        result = made.sweeper.sweep(ADMIN, dry_run=False, hooks=SweepHooks(progress=watch))
        seconds = time.perf_counter() - began
    used = used_since(before, cpu_s(world.stack))
    world.require_corrected(result.summary.count(Outcome.CORRECTED), len(world.drifted))
    if not compared_s:
        raise BenchError("the sweep told of no progress")
    return Sweep(seconds, compared_s[0] - began, calls, used)
