"""One user at a time, as a webhook or an admin reconciles, beside its bare script and its RPC."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from uuid import uuid4

from shared.bootstrap import services
from shared.core.outcome import Outcome
from tools.bench.clients import Clients
from tools.bench.errors import BenchError
from tools.bench.naive import write_user
from tools.bench.world import World

ADMIN = "bench-single"


def single_user(world: World, clients: Clients, count: int) -> dict[str, float]:
    """Medians in ms, over up to `count` users who differ; the three kinds take turns."""
    world.drift()
    pairs = list(zip(world.drifted[::2], world.drifted[1::2], strict=False))[:count]
    if not pairs:
        raise BenchError("too few users differ to measure single ones: raise the number of users")
    height = clients.contract.latest_height()
    run_id = uuid4()
    scripts: list[float] = []
    rpcs: list[float] = []
    reconciles: list[float] = []
    for bare, whole in pairs:
        with _timed(scripts):
            [truth] = clients.contract.balances_at([bare], height)
        with _timed(rpcs):
            write_user(clients.ledger, bare, truth, height, run_id)
        with _timed(reconciles):
            result = services().user_reconciler.reconcile(whole, ADMIN)
        if result.outcome is not Outcome.CORRECTED:
            raise BenchError(
                f"the reconciliation of {whole} ended {result.outcome}: {result.error}"
            )
    script_ms, rpc_ms, reconcile_ms = median(scripts), median(rpcs), median(reconciles)
    return {
        "single_user_samples": len(pairs),
        "webhook_like_single_user_p50_ms": reconcile_ms,
        "bare_script_p50_ms": script_ms,
        "bare_rpc_p50_ms": rpc_ms,
        "single_user_ratio": reconcile_ms / (script_ms + rpc_ms),
    }


@contextmanager
def _timed(durations_ms: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    durations_ms.append(1_000 * (time.perf_counter() - began))
