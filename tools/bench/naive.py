"""The plain algorithm: one script a user, and for each who differs a script and an RPC more."""

import time
from uuid import UUID, uuid4

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount, parse_amount
from shared.ports.ledger import Correction, Ledger
from tools.bench.clients import Clients
from tools.bench.errors import BenchError
from tools.bench.world import World

ADMIN = "bench-naive"


def naive_s(world: World, clients: Clients, users: int) -> float:
    """Seconds for the first `users` of the ledger, which has drifted.

    It asks at one height named once; a plain loop would also ask for the latest block each time.
    """
    world.drift()
    height = clients.contract.latest_height()
    run_id = uuid4()
    corrected = 0
    began = time.perf_counter()
    for key, balance in clients.ledger.list_balances(None, users).rows():
        user = FlowAddress(key)
        [truth] = clients.contract.balances_at([user], height)
        if balance is None or truth != parse_amount(balance):
            [truth] = clients.contract.balances_at([user], height)
            write_user(clients.ledger, user, truth, height, run_id)
            corrected += 1
    seconds = time.perf_counter() - began
    expected = sum(user <= world.users[users - 1] for user in world.drifted)
    if corrected != expected:
        raise BenchError(f"the plain algorithm corrected {corrected:,} of {expected:,} users")
    return seconds


def write_user(
    ledger: Ledger, user: FlowAddress, truth: FlowAmount, height: int, run_id: UUID
) -> None:
    """One RPC: the procedure for a single user."""
    correction = Correction(user_address=user, contract_balance=truth, expected_balance=None)
    ledger.correct_user(correction, block_height=height, admin_address=ADMIN, run_id=run_id)
