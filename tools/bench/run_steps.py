"""Takes a run through its steps with made-up contract balances, so that no chain is needed."""

from collections.abc import Sequence
from uuid import uuid4

from shared.adapters.system_clock import SystemClock
from shared.core.amount import FlowAmount, parse_amount
from shared.core.compare import Candidate, LedgerPage
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.policy import Policy
from shared.core.run import Lease, Run, RunPlan, RunState
from shared.ports.ledger import Correction, Ledger
from shared.ports.run_store import RunStore, ScanFound
from tools.bench.costs import Costs

HEIGHT = 1
ADMIN = "bench-costs"

_READS = 20


class Steps:
    """A run over a ledger in which one user in `one_in` is off by the smallest unit."""

    def __init__(self, ledger: Ledger, store: RunStore, costs: Costs, policy: Policy) -> None:
        self._ledger = ledger
        self._store = store
        self._costs = costs
        self._policy = policy
        self._run_id = uuid4()

    def go(self, one_in: int) -> None:
        """All steps, from the plan to the first page of results."""
        plan = RunPlan(run_id=self._run_id, dry_run=False, admin_address=ADMIN, policy=self._policy)
        run = self._costs.of("start the run", lambda: self._store.start_run(plan))
        while run.state is RunState.PLANNING:
            run = self._costs.of("plan up to 5,000 chunks", self._plan)
        for _ in range(_READS):
            self._costs.of("read the run", lambda: self._store.get_run(self._run_id))
        while lease := self._lease("lease a scan chunk"):
            self._scan(lease, one_in)
        self._costs.of("decide", lambda: self._store.decide(self._run_id, None))
        while lease := self._lease("lease a correction chunk"):
            self._correct(lease)
        self._costs.of(
            "list 1,000 results",
            lambda: self._store.list_results(self._run_id, after=None, limit=1_000),
        )

    def _plan(self) -> Run:
        size = self._policy.batch_size
        return self._store.plan_chunks(self._run_id, chunk_users=size, chunks_max=None)

    def _lease(self, step: str) -> Lease | None:
        leased = self._costs.of(
            step, lambda: self._store.lease_chunks(self._run_id, lease_s=600, attempts_max=5)
        )
        return leased.leases[0] if leased.leases else None

    def _scan(self, lease: Lease, one_in: int) -> None:
        limit = 2 * self._policy.batch_size
        page = self._costs.of(
            "list a page", lambda: self._ledger.list_balances(lease.after, limit, lease.through)
        )
        found = _found(page, one_in)
        self._costs.of("close a scan chunk", lambda: self._store.close_scan(lease, found))

    def _correct(self, lease: Lease) -> None:
        candidates = self._costs.of(
            "list a chunk's candidates", lambda: self._store.list_candidates(lease)
        )
        keys = [each.user_address for each in candidates]
        self._costs.of("read candidates again", lambda: self._ledger.get_balances(keys))
        corrections = [_correction(each) for each in candidates]
        self._costs.of(
            "correct a chunk",
            lambda: self._ledger.correct_users(
                corrections, block_height=HEIGHT, admin_address=ADMIN, run_id=self._run_id
            ),
        )
        results = _results(candidates)
        self._costs.of(
            "close a correction chunk",
            lambda: self._store.close_correction(lease, results, script_calls=1),
        )


def _found(page: LedgerPage, one_in: int) -> ScanFound:
    candidates = [_candidate(key, text) for key, text in list(page.rows())[::one_in]]
    return ScanFound(
        users=len(page),
        in_sync=len(page) - len(candidates),
        funded=len(page),
        funded_reading_zero=0,
        candidates=candidates,
        failures=(),
        first_height=HEIGHT,
        last_height=HEIGHT,
        script_calls=1,
    )


def _candidate(key: str, text: str | None) -> Candidate:
    units = parse_amount(text or "0")
    return Candidate(key, units, FlowAmount(units + 1), HEIGHT)


def _correction(candidate: Candidate) -> Correction:
    return Correction(
        user_address=candidate.user_address,
        contract_balance=candidate.contract_balance,
        expected_balance=candidate.ledger_balance,
    )


def _results(candidates: Sequence[Candidate]) -> list[ReconciliationResult]:
    now = SystemClock().now()
    return [
        ReconciliationResult(
            user_address=each.user_address,
            outcome=Outcome.CORRECTED,
            timestamp=now,
            old_balance=each.ledger_balance,
            new_balance=each.contract_balance,
            discrepancy=each.discrepancy,
            block_height=HEIGHT,
            scan_height=HEIGHT,
        )
        for each in candidates
    ]
