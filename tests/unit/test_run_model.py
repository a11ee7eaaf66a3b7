"""Runs worked by many at once, while the chain moves, events arrive late, and processes die.

A model drives the real services over fakes, one call of a port at a time, in any order that
hypothesis thinks of. What has to hold in between and at the end is in the invariants.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from shared.core.amount import FlowAmount
from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import ACTIVE, ChunkRef, Run, RunState
from shared.services.changed_users import ChangedUsers
from shared.services.engine import Engine
from shared.services.plan_run import RunRequest
from shared.services.read_contract import ContractReader
from shared.services.retry import Backoff
from tests.fakes.actors import Actor, Order
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FakeContract
from tests.fakes.fake_ledger import AuditRow, FakeLedger, Row
from tests.fakes.fake_queue import FakeQueue
from tests.fakes.fake_run_store import FakeRunStore
from tests.unit.users import user
from tests.unit.worlds import PortSet

USERS = [user(number) for number in range(1, 4)]
POLICY = Policy(batch_size=2, settle_s=30, halt_share=1, halt_unread_share=1)
"""Two chunks, and pages larger than any chunk: then a worker makes one call after the other."""
WORKERS_MIN = 2
ACTORS_MAX = 4
LEASE_S = 60.0
A_LONG_TIME_S = 1_000.0
"""Longer than any lease, message or plan is waited for."""
MESSAGES_MAX = 10
ROUNDS_MAX = 100

ORDERS = [Order.GO_ON, Order.GO_ON, Order.GO_ON, Order.FAIL, Order.LOSE_ANSWER]
CHANGES = st.tuples(
    st.sampled_from(
        ["nothing", "chain", "chain at once", "chain at once", "event", "old event", "row", "user"]
    ),
    st.integers(0, 9),
    st.sampled_from([-3, -1, 1, 2]),
)
TURNS = st.tuples(
    st.integers(0, ACTORS_MAX),
    st.sampled_from([0, 1, 2, 8, 30]),
    st.sampled_from(ORDERS),
    CHANGES,
)
"""Which process goes on, for how many calls, how one more goes, and what changes before that."""

Stepped = Callable[[Any], Any]


class Event(NamedTuple):
    user: str
    delta: int
    height: int
    id: str


class RunModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.contract = FakeContract()
        self.ledger = FakeLedger()
        self.store = FakeRunStore(self.ledger, self.clock)
        self.store.before_call = self._let_no_two_runs_start_at_once
        self.queue = FakeQueue(self.clock, visibility_s=LEASE_S)
        self.actors: list[Actor] = []
        self.events: list[Event] = []
        self.undelivered: list[Event] = []
        self.edited: set[str] = set()
        """Whose row was changed past the fence since it was last reconciled."""
        self.audited = 0

    # -- the chain and the app ----------------------------------------------------------------

    @initialize(drift=st.lists(st.integers(-1, 1), min_size=len(USERS), max_size=len(USERS)))
    def begin_with_drift(self, drift: list[int]) -> None:
        for key, units in zip(USERS, drift, strict=True):
            self._move(key, 3)
            self._deliver(self.events[-1])
            if units:
                self._edit(key, 3 + units)

    @rule(duration_s=st.sampled_from([10.0, 31.0, LEASE_S + 1, A_LONG_TIME_S]))
    def let_time_pass(self, duration_s: float) -> None:
        self.clock.advance(duration_s)
        self.contract.seal()

    # -- our processes ------------------------------------------------------------------------

    @precondition(lambda self: len(self.actors) < ACTORS_MAX)
    @rule(incremental=st.booleans(), dry_run=st.booleans())
    def start_a_tick(self, incremental: bool, dry_run: bool) -> None:
        self._start_tick(incremental=incremental, dry_run=dry_run)

    @precondition(lambda self: len(self.actors) < ACTORS_MAX)
    @rule()
    def start_a_worker_for_a_message_that_comes_twice(self) -> None:
        if len(self.queue) < MESSAGES_MAX:
            self.queue.duplicate()
        self._start_worker()

    @rule(turns=st.lists(TURNS, min_size=4, max_size=12))
    def let_processes_go_on(
        self, turns: list[tuple[int, int, Order, tuple[str, int, int]]]
    ) -> None:
        for number, steps, order, change in turns:
            self._keep_busy()
            actor = self.actors[number % len(self.actors)]
            for _ in range(steps):
                self._step(actor)
            self._change(*change)
            self._step(actor, order)

    @precondition(lambda self: self.actors)
    @rule(number=st.integers(0, ACTORS_MAX))
    def crash_a_process(self, number: int) -> None:
        self.actors.pop(number % len(self.actors)).crash()

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def counts_add_up(self) -> None:
        for run in self._runs():
            assert sum(run.outcomes.values()) == run.users
            assert min(run.outcomes.values()) >= 0
            decided = sum(run.outcomes.values()) - run.count(Outcome.IN_SYNC)
            assert self.store.count_results(run.run_id) == decided
            for outcome in set(Outcome) - {Outcome.IN_SYNC}:
                assert self.store.count_results(run.run_id, [outcome]) == run.count(outcome)
            if run.state is RunState.FINISHED and not run.dry_run:
                assert not run.count(Outcome.WOULD_CORRECT)

    @invariant()
    def one_run_writes_at_a_time(self) -> None:
        assert sum(run.state in ACTIVE and not run.dry_run for run in self._runs()) <= 1

    @invariant()
    def dry_runs_write_nothing(self) -> None:
        dry = {run.run_id for run in self._runs() if run.dry_run}
        assert not dry.intersection(row.run_id for row in self.ledger.audit if row.run_id)

    @invariant()
    def nobody_is_corrected_twice_by_a_run(self) -> None:
        ours = [(row.run_id, row.user_address) for row in self.ledger.audit if row.run_id]
        assert len(set(ours)) == len(ours)

    @invariant()
    def corrections_are_the_contracts_balances_and_never_older_than_the_row(self) -> None:
        self._read_audit()

    @invariant()
    def a_row_and_the_events_still_to_come_are_the_contracts_balance(self) -> None:
        for key in set(USERS) - self.edited:
            row = self.ledger.rows.get(key, Row(balance=FlowAmount(0)))
            coming = sum(
                event.delta
                for event in self.undelivered
                if event.user == key and event.height > (row.reconciled_height or 0)
            )
            assert row.balance == self.contract.balance(key) - coming

    # -- the end ------------------------------------------------------------------------------

    def teardown(self) -> None:
        for actor in self.actors:
            actor.crash()
        while self.undelivered:
            self._deliver(self.undelivered[-1])
        self._check_that_a_sweep_settles_everything(incremental=False)
        for key in USERS:  # nobody delivers the events of these
            self.contract.set(key, self.contract.balance(key) + 1)
        self._check_that_a_sweep_settles_everything(incremental=True)

    def _check_that_a_sweep_settles_everything(self, *, incremental: bool) -> None:
        engine = self._engine(lambda port: port, rotate_chunks=0)
        request = RunRequest(admin_address="ADMIN")
        for _ in range(ROUNDS_MAX):
            tick = engine.ticker.tick(request, incremental=incremental, should_stop=lambda: False)
            self._drain(engine)
            run = self.store.get_run(tick.run.run_id)
            if run.state is RunState.FINISHED and not tick.resumed:
                break
            self.clock.advance(A_LONG_TIME_S)
        assert run.state is RunState.FINISHED
        assert run.users == run.count(Outcome.IN_SYNC, Outcome.CORRECTED)
        for key in self.ledger.rows.keys() | (USERS if incremental else ()):
            assert self.ledger.balance(key) == self.contract.balance(key)
        self.counts_add_up()

    def _drain(self, engine: Engine) -> None:
        for _ in range(ROUNDS_MAX):
            due_s = self.queue.next_due_s()
            if due_s is None:
                return
            self.clock.advance(due_s)
            for message, ref in self.queue.take(1).items():
                self._handle(lambda port: port, message=message, ref=ref, engine=engine)
        raise AssertionError("the queue does not become empty")

    # -- what processes do --------------------------------------------------------------------

    def _tick(self, stepped: Stepped, *, incremental: bool, dry_run: bool) -> None:
        request = RunRequest(admin_address="ADMIN", dry_run=dry_run)
        ticker = self._engine(stepped).ticker
        ticker.tick(request, incremental=incremental, should_stop=lambda: False)

    def _handle(
        self, stepped: Stepped, *, message: str, ref: ChunkRef, engine: Engine | None = None
    ) -> None:
        worker = (engine or self._engine(stepped)).queue_worker
        if not worker.handle({message: ref}, lambda: False).failed:
            self.queue.delete([message])

    def _reconcile(self, stepped: Stepped, *, key: str) -> None:
        self._engine(stepped).user_reconciler.reconcile(key, "ADMIN")

    def _engine(self, stepped: Stepped, *, rotate_chunks: int = 1) -> Engine:
        contract = stepped(self.contract)
        once = Backoff(attempts_max=1)
        ports = PortSet(
            ledger=stepped(self.ledger),
            store=stepped(self.store),
            contract=ContractReader(contract, self.clock, once),
            changed_users=ChangedUsers(contract, self.clock, once),
            clock=self.clock,
            queue=stepped(self.queue),
        )
        return Engine(ports, POLICY, lease_s=LEASE_S, rotate_chunks=rotate_chunks)

    def _keep_busy(self) -> None:
        if len(self.actors) < WORKERS_MIN:
            self._start_worker()
        if not self.actors:
            self._start_tick(incremental=len(self.events) % 2 == 0, dry_run=False)

    def _let_no_two_runs_start_at_once(self, method: str) -> None:
        if method == "start_run":  # else their ids, which are random, say which is the newest
            self.clock.advance(0.001)

    def _start_tick(self, *, incremental: bool, dry_run: bool) -> None:
        self._start(partial(self._tick, incremental=incremental, dry_run=dry_run))

    def _start_worker(self) -> None:
        self.clock.advance(self.queue.next_due_s() or 0.0)
        for message, ref in self.queue.take(1).items():
            self._start(partial(self._handle, message=message, ref=ref))

    def _start(self, work: Callable[[Stepped], None]) -> None:
        self.actors.append(Actor(partial(_settled, work)))

    def _step(self, actor: Actor, order: Order = Order.GO_ON) -> None:
        if not actor.done:
            actor.step(order)
        if actor.done and actor in self.actors:
            self.actors.remove(actor)

    # -- what the world does, and looking behind ----------------------------------------------

    def _change(self, what: str, number: int, delta: int) -> None:
        key = USERS[number % len(USERS)]
        events = self.events if what == "old event" else self.undelivered
        if what.startswith("chain"):
            moved = self._move(key, delta)
            if moved and what == "chain at once":
                self._deliver(moved)
        elif what == "row":
            self._edit(key, abs(delta))
        elif what == "user" and len(self.actors) < ACTORS_MAX:
            self._start(partial(self._reconcile, key=key))
        elif what.endswith("event") and events:
            self._deliver(events[number % len(events)])

    def _move(self, key: str, delta: int) -> Event | None:
        after = self.contract.balance(key) + delta
        if after < 0:
            return None
        height = self.contract.set(key, after)
        event = Event(key, delta, height, f"event {height}")
        self.events.append(event)
        self.undelivered.append(event)
        return event

    def _deliver(self, event: Event) -> None:
        self.ledger.apply_event(event.user, event.delta, event.height, event.id)
        if event in self.undelivered:
            self.undelivered.remove(event)

    def _edit(self, key: str, balance: int) -> None:
        self._read_audit()  # what comes after the edit may correct it
        self.ledger.put(key, balance)
        self.edited.add(key)

    def _runs(self) -> list[Run]:
        return self.store.list_runs(limit=1_000)

    def _read_audit(self) -> None:
        new, self.audited = self.ledger.audit[self.audited :], len(self.ledger.audit)
        for row in new:
            if row.operation_type == "reconciliation":
                assert row.block_height is not None
                assert row.balance_after == self.contract.balance(
                    row.user_address, row.block_height
                )
                assert row.block_height >= self._height_before(row)
                self.edited.discard(row.user_address)

    def _height_before(self, row: AuditRow) -> int:
        """The newest block that was known to a user's row when this was written."""
        earlier = self.ledger.audit[: self.ledger.audit.index(row)]
        heights = [
            each.block_height or 0 for each in earlier if each.user_address == row.user_address
        ]
        return max(heights, default=0)


def _settled(work: Callable[[Stepped], None], stepped: Stepped) -> None:
    """A process that ends with an error of ours has told somebody; the work goes on without it."""
    try:
        work(stepped)
    except ReconcileError:
        return


TestRunModel = RunModel.TestCase
TestRunModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
