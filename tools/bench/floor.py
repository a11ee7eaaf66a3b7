"""The floor: nothing but the scripts that any sweep in batches has to run."""

import time

from tools.bench.clients import Clients
from tools.bench.world import World


def floor_s(world: World, clients: Clients, batch_size: int) -> float:
    """Seconds for the bare batch scripts about all users, at one height, one after the other."""
    height = clients.contract.latest_height()
    batches = [
        world.users[start : start + batch_size] for start in range(0, len(world.users), batch_size)
    ]
    began = time.perf_counter()
    for batch in batches:
        clients.contract.balances_at(batch, height)
    return time.perf_counter() - began
