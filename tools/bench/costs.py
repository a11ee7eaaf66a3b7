"""Notes what each step of a run takes, on the clock and of the processors."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from tools.bench.cpu import cpu_s, used_since
from tools.bench.table import table
from tools.stack import Stack

T = TypeVar("T")

_CPU_CALLS_MAX = 200
"""Calls of a step whose processor time is asked for; asking takes longer than many a step."""


@dataclass(slots=True)
class Costs:
    """Wall-clock and processor seconds by step."""

    stack: Stack
    wall_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_s: dict[str, dict[str, float]] = field(default_factory=dict)

    def of(self, step: str, work: Callable[[], T]) -> T:
        """Do one step and note what it took.

        Processor time comes in ticks of 10 ms, so that only the sum of many short calls is exact.
        """
        sampled = len(self.wall_s[step]) < _CPU_CALLS_MAX
        before = cpu_s(self.stack) if sampled else {}
        began = time.perf_counter()
        answer = work()
        self.wall_s[step].append(time.perf_counter() - began)
        if sampled:
            sums = self.cpu_s.setdefault(step, defaultdict(float))
            for name, used in used_since(before, cpu_s(self.stack)).items():
                sums[name] += used
        return answer

    def markdown(self) -> str:
        """A row for each step, in the order of the first call."""
        head = ("Step", "calls", "median", "PostgreSQL a call", "PostgREST a call")
        rows = [
            (step, f"{len(walls):,}", _ms(median(walls)), *self._cpu(step, len(walls)))
            for step, walls in self.wall_s.items()
        ]
        return table(head, rows)

    def _cpu(self, step: str, calls: int) -> tuple[str, str]:
        sums = self.cpu_s[step]
        calls = min(calls, _CPU_CALLS_MAX)
        return _ms(sums["PostgreSQL"] / calls), _ms(sums["PostgREST"] / calls)


def _ms(duration_s: float) -> str:
    return f"{1_000 * duration_s:,.1f} ms"
