"""Everybody at once on the real stack: games settle on chain, an app applies their events late, out
of order and some twice, sweeps and single reconciles correct what differs. At rest all agrees.
"""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

import psycopg
import pytest

from shared import reconcile_all_users, reconcile_user_balance
from shared.bootstrap import services
from shared.core.amount import FlowAmount, format_amount
from shared.core.errors import RunActive
from shared.core.outcome import Outcome
from shared.core.run import Run, RunState
from tests.conftest import LedgerTables, Setting, new_addresses
from tools.chain import Chain
from tools.chain.deploy import CONTRACT_NAME
from tools.chain.json_cadence import address, amounts_by_address, array
from tools.chain.sources import read_cadence

Give = Callable[[Mapping[str, int]], None]

USERS = 800
SETTLEMENTS = 20
MOVES = 200
"""Users of a settlement: half of them lose, the others win. 4,000 events in all."""
OPENING = 1_000_000
DRIFTED = 200
WRITERS = 2
SWEEPERS = 2
RECONCILERS = 2
LATE_S_MAX = 4.0
AT_ONCE = 20
TWICE = 0.1
"""The share of events that the app applies twice."""


class Event(NamedTuple):
    user: str
    delta: int
    height: int
    id: str


@dataclass
class Game:
    """Settles on chain; every settlement is a block, and an event for each of its users."""

    chain: Chain
    balances: dict[str, int]
    drifted: set[str]
    random: random.Random

    def settle(self) -> list[Event]:
        users = self.random.sample(sorted(self.balances), MOVES)
        losers, winners = users[::2], users[1::2]
        stakes = [self.random.randint(1, OPENING // SETTLEMENTS) for _ in losers]
        settlement = read_cadence("transactions/settle.cdc", {CONTRACT_NAME: self.chain.address})
        debits = dict(zip(losers, stakes, strict=True))
        credits = dict(zip(winners, stakes, strict=True))
        transaction_id = self.chain.submit(
            settlement, [amounts_by_address(debits), amounts_by_address(credits)]
        )
        self.chain.result(transaction_id)
        height = self.chain.latest_height()
        deltas = {user: -stake for user, stake in debits.items()} | credits
        for user, delta in deltas.items():
            self.balances[user] += delta
        return [Event(user, deltas[user], height, transaction_id) for user in users]

    def on_chain(self) -> dict[str, int]:
        """What the contract itself says."""
        script = read_cadence("scripts/get_user_balances.cdc", {CONTRACT_NAME: self.chain.address})
        users = sorted(self.balances)
        answers = self.chain.run_script(script, [array(map(address, users))])
        return dict(zip(users, map(int, answers), strict=True))


@dataclass
class App:
    """Applies events through `apply_balance_event`, each some time after it was seen."""

    url: str
    random: random.Random
    due: list[tuple[float, Event]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, events: list[Event]) -> None:
        with self.lock:
            for event in events:
                copies = 2 if self.random.random() < TWICE else 1
                for _ in range(copies):
                    late_s = self.random.uniform(0, LATE_S_MAX)
                    heappush(self.due, (time.monotonic() + late_s, event))

    def write(self, is_over: threading.Event) -> int:
        """Apply what is due until nothing is left to come; how many events were applied."""
        applied = 0
        with psycopg.connect(self.url, autocommit=True) as session:
            session.execute("set role service_role")
            while not (is_over.is_set() and not self.due):
                events = self._take()
                if not events:
                    time.sleep(0.01)
                for event in events:
                    applied += self._apply(session, event)
        return applied

    def _take(self) -> list[Event]:
        events: list[Event] = []
        with self.lock:
            while self.due and self.due[0][0] <= time.monotonic() and len(events) < AT_ONCE:
                events.append(heappop(self.due)[1])
        return events

    def _apply(self, session: psycopg.Connection, event: Event) -> bool:
        delta = format_amount(FlowAmount(event.delta))
        row = session.execute(
            "select apply_balance_event(%s, %s::numeric, %s, %s)",
            (event.user, delta, event.height, event.id),
        ).fetchone()
        assert row is not None
        answer = row[0]
        assert answer["applied"] or answer["reason"] in ("duplicate", "already_reconciled"), answer
        return bool(answer["applied"])


@dataclass
class Sweeps:
    """What the sweepers did together."""

    runs: list[Run] = field(default_factory=list)
    refused: int = 0

    def sweep(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            try:
                self.runs.append(reconcile_all_users("sweep").summary)
            except RunActive:
                self.refused += 1
                time.sleep(0.05)


@pytest.fixture
def game(
    environment: Setting, chain: Chain, ledger_rows: LedgerTables, contract_balances: Give
) -> Game:
    """Users with the same balance on both sides, but for some that have drifted."""
    environment(RECONCILE_BATCH_SIZE="100", RECONCILE_HALT_SHARE="1")
    services()  # one for all threads
    users = new_addresses(USERS)
    balances = dict.fromkeys(users, OPENING)
    drifted = {user: OPENING + number - DRIFTED // 2 for number, user in enumerate(users[:DRIFTED])}
    contract_balances(balances)
    ledger_rows.insert(balances | drifted)
    return Game(chain, balances, set(drifted), random.Random(7))


@pytest.fixture
def deadlocks(database_url: str) -> Callable[[], int]:
    """How many deadlocks the database has seen since the test began."""
    query = "select deadlocks from pg_stat_database where datname = current_database()"

    def seen() -> int:
        with psycopg.connect(database_url) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    before = seen()
    return lambda: seen() - before


def test_at_rest_everything_agrees(
    game: Game, database_url: str, ledger_rows: LedgerTables, deadlocks: Callable[[], int]
) -> None:
    app, sweeps = App(database_url, random.Random(8)), Sweeps()
    all_settled, all_written = threading.Event(), threading.Event()
    reconciled: list[Outcome] = []

    def reconcile_single_users() -> None:
        picks = random.Random(9)
        users = sorted(game.balances)
        while not all_written.is_set():
            result = reconcile_user_balance(picks.choice(users), "admin")
            assert result.success or result.error_code in ("stale_height", "changed_meanwhile")
            reconciled.append(result.outcome)

    with ThreadPoolExecutor() as threads, ExitStack() as ending:
        ending.callback(all_written.set)
        ending.callback(all_settled.set)
        writers = [threads.submit(app.write, all_settled) for _ in range(WRITERS)]
        others = [threads.submit(reconcile_single_users) for _ in range(RECONCILERS)]
        others += [threads.submit(sweeps.sweep, all_written) for _ in range(SWEEPERS)]
        for _ in range(SETTLEMENTS):
            app.see(game.settle())
        all_settled.set()
        applied = sum(each.result() for each in writers)
        all_written.set()
        for each in others:
            each.result()

    # Before anybody looks again: whom something was reconciled for, or who never drifted, agrees.
    truth, ledger = game.on_chain(), ledger_rows.balances()
    assert truth == game.balances
    audit = ledger_rows.audit()
    seen_to = {row.user_address for row in audit if row.operation_type == "reconciliation"}
    wrong = {user for user in truth if ledger[user] != truth[user]}
    assert wrong <= game.drifted - seen_to
    last = reconcile_all_users("sweep").summary
    assert (last.state, last.users) == (RunState.FINISHED, USERS)
    assert ledger_rows.balances() == truth

    assert sweeps.refused > 0
    assert sum(run.count(Outcome.CORRECTED) for run in sweeps.runs) > 0
    assert 0 < applied < SETTLEMENTS * MOVES
    assert reconciled
    for run in sweeps.runs:
        assert run.state is RunState.FINISHED
        assert sum(run.outcomes.values()) == run.users == USERS
    assert_audit_is_whole(database_url, truth)
    assert deadlocks() == 0


def assert_audit_is_whole(url: str, balances: Mapping[str, int]) -> None:
    """Every user's audit rows lead from one balance to the next, up to the one that is there; none
    of a correction is of an older block than a row before it."""
    rows: dict[str, list[tuple[str, int, int, int]]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        for user, operation, before, after, height in connection.execute(
            "select user_address, operation_type, round(balance_before * 1e8)::bigint,"
            " round(balance_after * 1e8)::bigint, block_height from balance_audit_log order by id"
        ):
            rows[user].append((operation, before, after, height))
    for user, history in rows.items():
        assert history[-1][2] == balances[user]
        newest = 0
        for (_, _, after, _), (_, before, _, _) in pairwise(history):
            assert before == after
        for operation, _, _, height in history:
            assert operation != "reconciliation" or height >= newest
            newest = max(newest, height)
