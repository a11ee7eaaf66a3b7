"""The order of a benchmark, and the figures that come of it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from tools.bench.clients import Clients, connected
from tools.bench.cold import first_calls
from tools.bench.environment import environment, services_of
from tools.bench.floor import floor_s
from tools.bench.machine import machine
from tools.bench.memory import sweep_in_child
from tools.bench.naive import naive_s
from tools.bench.options import Options
from tools.bench.single_user import single_user
from tools.bench.sweep import Sweep, sweep
from tools.bench.world import World, make_world
from tools.stack import Stack
from tools.stack.progress import Progress

SMALL_USERS = 10_000
"""The ledger beside which the memory of the full one is set."""


@dataclass(frozen=True, slots=True)
class Round:
    """Floor, sweep and plain algorithm, measured one after the other."""

    floor_s: float
    sweep: Sweep
    naive_s: float


def measure(stack: Stack, options: Options, progress: Progress) -> dict[str, Any]:
    """Run the benchmark on a stack whose ledger is empty; the figures by name.

    Raises BenchError when a sweep has not corrected the ledger.
    """
    began = time.perf_counter()
    world = make_world(stack, options, progress)
    seed_s = time.perf_counter() - began
    try:
        figures = _measure(world, options, progress)
    finally:
        world.remove()
    size = {"users": len(world.users), "users_drifted": len(world.drifted)}
    ratio = {"drift_ratio": len(world.drifted) / len(world.users)}
    return {**machine(stack), **size, **ratio, "seed_s": seed_s, **figures}


def _measure(world: World, options: Options, progress: Progress) -> dict[str, Any]:
    variables = environment(world.stack, options)
    memory = _memory(world, variables, progress)
    with services_of(variables), connected() as clients:
        rounds = []
        for number in range(1, options.rounds + 1):
            progress(f"Round {number} of {options.rounds}: floor, sweep, plain algorithm")
            rounds.append(_round(world, clients, options))
        progress("Measuring single users")
        single = single_user(world, clients, options.single_users)
    progress("Measuring a first call and those after it")
    single |= first_calls(variables, world.users[0], options.single_users)
    progress(f"Measuring a sweep with {options.scripts_per_s:g} scripts a second at most")
    pace = {"FLOW_MAX_SCRIPTS_PER_S": str(options.scripts_per_s)}
    with services_of(environment(world.stack, options, **pace)):
        paced = sweep(world)
    return {
        "batch_size": options.batch_size,
        **_rates(rounds, world, options),
        **memory,
        **single,
        **_paced(paced, rounds, world, options),
        **_costs(_best(rounds)),
        "rounds": [_as_json(each) for each in rounds],
    }


def _memory(world: World, variables: Mapping[str, str], progress: Progress) -> dict[str, float]:
    small_users = min(SMALL_USERS, len(world.users))
    world.add_to_ledger(0, small_users)
    progress(f"Measuring the memory of a sweep of {small_users:,} users")
    small = sweep_in_child(world, variables)
    if small_users < len(world.users):
        world.add_to_ledger(small_users, len(world.users))
    world.drift()
    progress(f"Measuring the memory of a sweep of {len(world.users):,} users")
    full = sweep_in_child(world, variables)
    return {
        "rss_mb_start": full["rss_mb_start"],
        "rss_mb_peak": full["rss_mb_peak"],
        "rss_mb_peak_10k": small["rss_mb_peak"],
        "rss_growth_10k_to_full_mb": full["rss_mb_peak"] - small["rss_mb_peak"],
        "sweep_in_new_process_s": full["seconds"],
    }


def _round(world: World, clients: Clients, options: Options) -> Round:
    return Round(
        floor_s=floor_s(world, clients, options.batch_size),
        sweep=sweep(world),
        naive_s=naive_s(world, clients, _naive_users(world, options)),
    )


def _rates(rounds: list[Round], world: World, options: Options) -> dict[str, Any]:
    """The best of each kind: what disturbs a measurement only ever makes it slower."""
    best = _best(rounds)
    users = len(world.users)
    floor = users / min(each.floor_s for each in rounds)
    rate = users / best.seconds
    naive_users = _naive_users(world, options)
    naive = naive_users / min(each.naive_s for each in rounds)
    return {
        "sweep_s": best.seconds,
        "first_result_s": median(each.sweep.first_result_s for each in rounds),
        "sweep_users_per_s": rate,
        "floor_users_per_s": floor,
        "share_of_floor": rate / floor,
        "share_of_floor_median": median(each.floor_s / each.sweep.seconds for each in rounds),
        "naive_users": naive_users,
        "naive_users_per_s": naive,
        "speedup_vs_naive": rate / naive,
        "script_calls": len(best.calls.scripts),
        "rpc_calls": best.calls.rpc_count,
    }


def _paced(paced: Sweep, rounds: list[Round], world: World, options: Options) -> dict[str, Any]:
    scripts = len(paced.calls.scripts)
    limit_s = max(scripts / options.scripts_per_s, min(each.floor_s for each in rounds))
    return {
        "scripts_per_s": options.scripts_per_s,
        "paced_script_calls": scripts,
        "sweep_paced_s": paced.seconds,
        "paced_limit_s": limit_s,
        "paced_ratio": paced.seconds / limit_s,
        # Not measured: a script a user and one more for each who differs, at that pace.
        "naive_paced_s": (len(world.users) + len(world.drifted)) / options.scripts_per_s,
    }


def _costs(best: Sweep) -> dict[str, Any]:
    scripts = best.calls.scripts
    return {
        "cpu_s": best.cpu_s,
        "script_p50_ms": 1_000 * median(scripts),
        "rpcs": {
            name: {"calls": len(each), "p50_ms": 1_000 * median(each), "total_s": sum(each)}
            for name, each in sorted(best.calls.rpcs.items())
        },
    }


def _best(rounds: list[Round]) -> Sweep:
    return min((each.sweep for each in rounds), key=lambda each: each.seconds)


def _naive_users(world: World, options: Options) -> int:
    return min(options.naive_users, len(world.users))


def _as_json(each: Round) -> dict[str, float]:
    return {"floor_s": each.floor_s, "sweep_s": each.sweep.seconds, "naive_s": each.naive_s}
