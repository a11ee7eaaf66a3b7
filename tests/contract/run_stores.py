"""The two run stores that one suite runs on, and what its tests put into them."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg

from shared.core.amount import ZERO, FlowAmount, format_amount
from shared.core.compare import Candidate, Failure
from shared.core.errors import ContractScriptFailed, ReconcileError
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.core.run import ATTEMPTS_MAX, ChunkRef, Lease, Run, RunPlan
from shared.ports.ledger import Correction, Ledger
from shared.ports.run_store import RunStore, ScanFound
from tests.fakes.fake_clock import START, FakeClock
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.fake_run_store import FakeRunStore
from tests.unit.users import user

LEASE_S = 60.0
SETTLE_S = 30.0
HEIGHT = 10


class World(Protocol):
    """A run store over a ledger, and what is needed to look behind them. Balances in units."""

    @property
    def store(self) -> RunStore: ...
    @property
    def ledger(self) -> Ledger: ...
    def put(self, *keys: str) -> None:
        """Give the ledger a row of each of these."""

    def pass_time(self, duration_s: float) -> None: ...


class FakeWorld:
    def __init__(self) -> None:
        self._clock = FakeClock()
        self.fake_ledger = FakeLedger()
        self.ledger: Ledger = self.fake_ledger
        self.fake_store = FakeRunStore(self.fake_ledger, self._clock)
        self.store: RunStore = self.fake_store

    def put(self, *keys: str) -> None:
        for key in keys:
            self.fake_ledger.put(key, 5)

    def pass_time(self, duration_s: float) -> None:
        self._clock.advance(duration_s)


class RealWorld:
    """Lets time pass by moving every moment that is stored into the past."""

    _MOMENTS: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("reconciliation_runs", ("started_at", "scanned_at", "settle_until", "finished_at")),
        ("reconciliation_chunks", ("lease_until", "queued_at", "closed_at")),
        ("reconciliation_results", ("decided_at",)),
    )

    def __init__(self, store: RunStore, ledger: Ledger, database: psycopg.Connection) -> None:
        self.store = store
        self.ledger = ledger
        self._database = database

    def put(self, *keys: str) -> None:
        self._database.execute(
            "insert into user_balances (user_address, balance) select unnest(%s::text[]), %s",
            (list(keys), format_amount(FlowAmount(5))),
        )

    def pass_time(self, duration_s: float) -> None:
        for table, columns in self._MOMENTS:
            earlier = ", ".join(
                f"{column} = {column} - make_interval(secs => {duration_s})" for column in columns
            )
            self._database.execute(f"update {table} set {earlier}".encode())


# -- what tests put in ------------------------------------------------------------------------


def planned(**changes: object) -> RunPlan:
    """A run over everyone that writes, with some fields replaced."""
    fields = {
        "run_id": uuid4(),
        "dry_run": False,
        "admin_address": "ADMIN",
        "policy": Policy(batch_size=2, settle_s=SETTLE_S),
    }
    return RunPlan(**{**fields, **changes})  # type: ignore[arg-type]


def started(world: World, *, users: int = 0, chunk_users: int = 2, **changes: Any) -> UUID:
    """A run that is scanning the ledger, with the users 1 to `users` added to it."""
    if users:
        world.put(*map(user, range(1, users + 1)))
    run = world.store.start_run(planned(**changes))
    world.store.plan_chunks(run.run_id, chunk_users=chunk_users, chunks_max=None)
    return run.run_id


def leased(
    world: World, run_id: UUID, ref: ChunkRef | None = None, limit: int = 100
) -> tuple[Lease, ...]:
    """The chunks that can be had now."""
    return world.store.lease_chunks(
        run_id, lease_s=LEASE_S, limit=limit, attempts_max=ATTEMPTS_MAX, ref=ref
    ).leases


def differing(
    number: int, contract: int = 8, *, ledger: int = 5, height: int = HEIGHT, exists: bool = True
) -> Candidate:
    """The user of this number as a scan finds them."""
    balances = FlowAmount(ledger if exists else ZERO), FlowAmount(contract)
    return Candidate(user(number), *balances, height, exists)


def unread(number: int) -> Failure:
    return Failure(user(number), fault())


def fault() -> ReconcileError:
    return ContractScriptFailed("panic", remedy="Ask.")


def found(
    candidates: Sequence[Candidate] = (),
    failures: Sequence[Failure] = (),
    *,
    in_sync: int = 0,
    held: Sequence[Candidate] = (),
    heights: tuple[int, int] = (HEIGHT, HEIGHT),
) -> ScanFound:
    return ScanFound(
        users=in_sync + len(candidates) + len(held) + len(failures),
        in_sync=in_sync,
        funded=in_sync + len(candidates),
        funded_reading_zero=sum(not candidate.contract_balance for candidate in candidates),
        candidates=candidates,
        held=held,
        failures=failures,
        first_height=heights[0],
        last_height=heights[1],
        script_calls=1,
    )


def result(candidate: Candidate, outcome: Outcome, **changes: object) -> ReconciliationResult:
    """What became of a candidate."""
    fields = {
        "user_address": candidate.user_address,
        "outcome": outcome,
        "timestamp": START,
        "old_balance": candidate.ledger_balance,
        "new_balance": candidate.contract_balance,
        "discrepancy": candidate.discrepancy,
        "block_height": candidate.block_height + 1,
    }
    return ReconciliationResult(**{**fields, **changes})  # type: ignore[arg-type]


def scan(world: World, run_id: UUID, *candidates: Candidate, failures: int = 0) -> Run:
    """Scan the whole run and decide: it finds these, and `failures` users that cannot be read."""
    first, *others = leased(world, run_id)
    failing = [unread(number) for number in range(900, 900 + failures)]
    world.store.close_scan(first, found(candidates, failing))
    for lease in others:
        world.store.close_scan(lease, found())
    return world.store.decide(run_id, None)


def correcting(world: World, *candidates: Candidate, **changes: Any) -> UUID:
    """A run that has found these, and has waited until they may be corrected."""
    world.put(*(each.user_address for each in candidates if each.row_exists))
    run_id = started(world, **changes)
    scan(world, run_id, *candidates)
    world.pass_time(SETTLE_S + 1)
    return run_id


def correct_in_ledger(
    world: World, run_id: UUID, candidates: Iterable[Candidate], height: int = HEIGHT + 1
) -> None:
    """What a worker does before it closes a chunk: the rows and their audit."""
    world.ledger.correct_users(
        [
            Correction(
                user_address=each.user_address,
                contract_balance=each.contract_balance,
                expected_balance=each.ledger_balance if each.row_exists else None,
            )
            for each in candidates
        ],
        block_height=height,
        admin_address="ADMIN",
        run_id=run_id,
    )
