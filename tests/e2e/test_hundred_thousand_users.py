"""A ledger of 100,000 users, 1 % of them drifted, against the real servers.

It has a stack of its own: so many users in the contract slow every later script down.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from shared import Outcome, reconcile_all_users
from tests.conftest import LedgerTables, quiet, settings_of
from tests.counts import counts
from tools.chain import Chain
from tools.chain.seed import seed_balances
from tools.stack import start_stack

USERS = 100_000
DRIFTED = 1_000


@dataclass(frozen=True)
class World:
    """What the contract says, and which ledger rows differ from it; units of 1e-8."""

    tables: LedgerTables
    truth: dict[str, int]
    drifted: dict[str, int]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    chance = random.Random(1)
    addresses = sorted({f"0x{chance.getrandbits(64):016x}" for _ in range(USERS)})
    assert len(addresses) == USERS, "the seed makes no address twice"
    truth = {address: chance.randrange(1_000, 10**9) for address in addresses}
    drifted = {
        address: truth[address] + chance.choice([-1, 1, -1_000, 10**9])
        for address in chance.sample(addresses, DRIFTED)
    }
    with start_stack(tmp_path_factory.mktemp("large") / "state", progress=quiet) as stack:
        service = stack.env["STACK_SERVICE_ADDRESS"], stack.env["STACK_SERVICE_PRIVATE_KEY"]
        with Chain(stack.access_node, *service) as chain:
            seed_balances(chain, truth)
        tables = LedgerTables(stack.database_url)
        tables.insert(truth | drifted)
        with settings_of(stack):
            yield World(tables, truth, drifted)


def test_the_drift_of_a_large_ledger_is_found_corrected_and_gone(world: World) -> None:
    ledger = world.truth | world.drifted
    expected = [(user, world.drifted[user], world.truth[user]) for user in sorted(world.drifted)]

    preview = reconcile_all_users(dry_run=True)

    found = [(each.user_address, each.old_balance, each.new_balance) for each in preview]
    assert found == expected
    assert counts(preview.summary) == {
        Outcome.IN_SYNC: USERS - DRIFTED,
        Outcome.WOULD_CORRECT: DRIFTED,
    }
    assert world.tables.balances() == ledger
    assert world.tables.audit() == []

    applied = reconcile_all_users("0xe2e")

    corrected = [(each.user_address, each.old_balance, each.new_balance) for each in applied]
    assert corrected == expected
    assert counts(applied.summary) == {
        Outcome.IN_SYNC: USERS - DRIFTED,
        Outcome.CORRECTED: DRIFTED,
    }
    assert world.tables.balances() == world.truth
    audit = world.tables.audit()
    assert [(row.user_address, row.balance_before, row.balance_after) for row in audit] == expected
    change = sum(world.truth.values()) - sum(ledger.values())
    assert sum(row.amount for row in audit) == change

    again = reconcile_all_users()

    assert list(again) == []
    assert counts(again.summary) == {Outcome.IN_SYNC: USERS}
    assert len(world.tables.audit()) == DRIFTED
