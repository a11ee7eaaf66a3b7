"""Users in the contract, and a ledger that can be made to differ from it again and again."""

import random
from dataclasses import dataclass

import psycopg

from shared.core.address import FlowAddress
from shared.core.amount import FlowAmount, format_amount
from tools.bench.errors import BenchError
from tools.bench.options import Options
from tools.chain import Chain
from tools.chain.seed import seed_balances
from tools.stack import Stack
from tools.stack.progress import Progress

_UNITS_MIN, _UNITS_MAX = 10_000, 100_000_000
_OFFSETS = (-10_000, -1, 1, 1_250_000_000)
_SEED = 4  # the same users on every run, so that runs compare


@dataclass(frozen=True)
class World:
    """The users in key order. `drifted` of them differ after `drift()`.

    The truth and the drift are kept in the schema `bench` of the ledger's database.
    """

    stack: Stack
    users: list[FlowAddress]
    drifted: list[FlowAddress]

    def add_to_ledger(self, first: int, end: int) -> None:
        """Insert the rows of the users with these positions, those that have drifted so."""
        keys = self.users[first], self.users[end - 1]
        self._run(
            "insert into public.user_balances (user_address, balance)"
            " select user_address, coalesce(drifted, balance) from bench.users"
            " where user_address between %s and %s",
            keys,
        )
        self._run("vacuum (analyze) public.user_balances")  # as autovacuum would have

    def drift(self) -> None:
        """Set the rows of the drifted users wrong again."""
        self._run(
            "update public.user_balances b set balance = u.drifted, reconciled_height = null"
            " from bench.users u where u.user_address = b.user_address and u.drifted is not null"
        )
        self._run("vacuum (analyze) public.user_balances")

    def differing(self) -> int:
        """How many rows are not what the contract holds."""
        with psycopg.connect(self.stack.database_url) as connection:
            row = connection.execute(
                "select count(*) from public.user_balances b join bench.users u"
                " using (user_address) where b.balance is distinct from u.balance"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def require_corrected(self, corrected: int, expected: int) -> None:
        """Raise BenchError unless a sweep has done what it was timed for."""
        left = self.differing()
        if corrected != expected or left:
            raise BenchError(
                f"the sweep corrected {corrected:,} of {expected:,} users and left {left:,} wrong"
            )

    def remove(self) -> None:
        """Drop the schema `bench`."""
        self._run("drop schema bench cascade")

    def _run(self, statement: str, parameters: tuple[str, ...] = ()) -> None:
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute(statement.encode(), parameters or None)


def make_world(stack: Stack, options: Options, progress: Progress) -> World:
    """Give the users balances in the contract; the ledger stays empty."""
    chance = random.Random(_SEED)
    truth = _truth(chance, options.users)
    users = sorted(truth)
    step = round(1 / options.drift_ratio)
    drifted = {user: truth[user] + chance.choice(_OFFSETS) for user in users[step // 2 :: step]}
    service = stack.env["STACK_SERVICE_ADDRESS"], stack.env["STACK_SERVICE_PRIVATE_KEY"]
    with Chain(stack.access_node, *service) as chain:
        seed_balances(chain, dict(truth.items()), _Tenths(progress))
    _write_truth(stack, truth, drifted)
    return World(stack, users, sorted(drifted))


def _truth(chance: random.Random, count: int) -> dict[FlowAddress, int]:
    truth: dict[FlowAddress, int] = {}
    while len(truth) < count:
        user = FlowAddress(f"0x{chance.getrandbits(64):016x}")
        truth[user] = chance.randint(_UNITS_MIN, _UNITS_MAX)
    return truth


class _Tenths:
    """Says when another tenth of the users is seeded."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._told = 0

    def __call__(self, done: int, total: int) -> None:
        if 10 * done // total > self._told:
            self._told = 10 * done // total
            self._progress(f"{done:,} of {total:,} users are in the contract")


def _write_truth(
    stack: Stack, truth: dict[FlowAddress, int], drifted: dict[FlowAddress, int]
) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("create schema bench")
        connection.execute(
            'create table bench.users (user_address text collate "C" primary key,'
            " balance numeric(20, 8) not null, drifted numeric(20, 8))"
        )
        with connection.cursor().copy("copy bench.users from stdin") as copy:
            for user, units in truth.items():
                wrong = drifted.get(user)
                copy.write_row((user, _flow(units), None if wrong is None else _flow(wrong)))
        connection.execute("analyze bench.users")


def _flow(units: int) -> str:
    return format_amount(FlowAmount(units))
