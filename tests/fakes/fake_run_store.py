"""Runs, chunks and results in memory, with the semantics of the procedures (docs/sql-api.md)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from shared.core.amount import FlowAmount
from shared.core.compare import Candidate
from shared.core.errors import (
    ChunkGaveUp,
    LedgerInvalidValue,
    ReconcileError,
    RunActive,
    RunNotApplicable,
)
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.review import Halt
from shared.core.run import (
    ACTIVE,
    ChunkRef,
    ChunkState,
    Closed,
    Lease,
    Leased,
    Phase,
    Requeued,
    Run,
    RunKind,
    RunPlan,
    RunState,
)
from shared.ports.run_store import ScanFound
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_ledger import ROWS_MAX, AuditRow, FakeLedger
from tests.fakes.run_rows import (
    ChunkRow,
    ResultRow,
    RunRow,
    of_candidate,
    of_failure,
    of_held,
    tally,
)
from tests.fakes.run_tables import RunTables

PLAN_CHUNKS_MAX = 5_000
"""Chunks that one call of `plan_chunks` cuts."""

_ENDED = frozenset(
    {
        RunState.FINISHED,
        RunState.HALTED,
        RunState.DECLINED,
        RunState.CANCELLED,
        RunState.FAILED,
    }
)
_WITH_PLAN = frozenset(
    {RunState.HALTED, RunState.DECLINED, RunState.AWAITING_APPROVAL, RunState.CANCELLED}
)
_PHASES = {RunState.SCANNING: Phase.SCAN, RunState.CORRECTING: Phase.CORRECT}
_DECISIONS = (
    Outcome.CORRECTED,
    Outcome.TRANSIENT,
    Outcome.CHANGED_MEANWHILE,
    Outcome.HELD,
    Outcome.FAILED,
)


class FakeRunStore(RunTables):
    """Implements the port `RunStore` over the rows and the audit log of a fake ledger."""

    def __init__(self, ledger: FakeLedger, clock: FakeClock) -> None:
        super().__init__(ledger)
        self._clock = clock

    # -- starting and planning ----------------------------------------------------------------

    def start_run(self, plan: RunPlan) -> Run:
        with self._call("start_run"):
            if plan.run_id not in self._runs:
                self._start(plan)
            return self._run(plan.run_id)

    def add_user_chunk(self, run_id: UUID, chunk_no: int, user_addresses: Sequence[str]) -> None:
        with self._call("add_user_chunk", user_addresses):
            row = self._row(run_id)
            ref = ChunkRef(run_id, Phase.SCAN, chunk_no)
            if ref in self._chunks:
                return
            if row.run.state is not RunState.PLANNING:
                raise _not_applicable("the run is not being planned")
            if not 1 <= len(user_addresses) <= ROWS_MAX:
                raise _invalid("p_user_addresses")
            users = tuple(user_addresses)
            self._plan(ChunkRow(ref=ref, users=len(users), user_addresses=users))

    def plan_chunks(self, run_id: UUID, *, chunk_users: int, chunks_max: int | None) -> Run:
        with self._call("plan_chunks"):
            row = self._row(run_id)
            if not 1 <= chunk_users <= ROWS_MAX:
                raise _invalid("p_chunk_users")
            if row.run.state is RunState.PLANNING:
                self._cut(row, chunk_users, chunks_max)
            return self._run(run_id)

    def _start(self, plan: RunPlan) -> None:
        if (plan.kind is RunKind.PLAN) != (plan.plan_run_id is not None):
            raise _invalid("p_plan_run_id")
        source = self._run(plan.plan_run_id) if plan.plan_run_id else None
        if source is not None:
            _require_plan(source)
        if not plan.dry_run:
            self._require_no_other(plan.run_id)
        run = Run(
            run_id=plan.run_id,
            kind=plan.kind,
            state=RunState.PLANNING,
            dry_run=plan.dry_run,
            admin_address=plan.admin_address,
            policy=plan.policy,
            started_at=self._clock.now(),
            accepted_halt=plan.accepted_halt,
            plan_run_id=plan.plan_run_id,
            covered_height=plan.covered_height,
            from_height=plan.from_height,
            fallback_reason=plan.fallback_reason,
        )
        self._runs[plan.run_id] = RunRow(
            run=run, plan=plan, planned_through=plan.rotate_after if source is None else None
        )
        if source is not None:
            self._copy_plan(run, source)

    def _copy_plan(self, run: Run, source: Run) -> None:
        """What the other run found and did not decide on; whom it has settled is in sync here."""
        copied = [
            row
            for row in self._results_of(source.run_id)
            if row.outcome in (Outcome.WOULD_CORRECT, Outcome.HELD) or _failed_in_scan(row)
        ]
        for row in copied:
            self._results[run.run_id, row.user_address] = replace(row, correct_chunk_no=None)
        candidates = [row for row in copied if row.outcome is Outcome.WOULD_CORRECT]
        held = sum(row.outcome is Outcome.HELD for row in copied)
        sums = ChunkRow(
            ref=ChunkRef(run.run_id, Phase.SCAN, 0),
            users=source.users,
            state=ChunkState.DONE,
            users_seen=source.users,
            in_sync=source.users - len(copied),
            candidates=len(candidates),
            held=held,
            failed=len(copied) - len(candidates) - held,
            funded=source.funded,
            funded_reading_zero=source.funded_reading_zero,
            surplus=_surplus(candidates),
            deficit=_deficit(candidates),
            first_height=source.first_height,
            last_height=source.last_height,
            script_calls=sum(
                chunk.script_calls for chunk in self._chunks_of(source.run_id, Phase.SCAN)
            ),
        )
        self._chunks[sums.ref] = sums
        self._change(run.run_id, state=RunState.SCANNING, users_planned=source.users)

    def _cut(self, row: RunRow, chunk_users: int, chunks_max: int | None) -> None:
        run_id, after = row.run.run_id, row.planned_through
        keys = self._ledger.keys_between(after, None)
        chunk_no, made = self._next_chunk_no(run_id), len(self._range_chunks(run_id))
        left = PLAN_CHUNKS_MAX if chunks_max is None else max(0, chunks_max - made)
        for first in range(0, chunk_users * min(left, PLAN_CHUNKS_MAX), chunk_users):
            mine = keys[first : first + chunk_users]
            through = mine[-1] if len(mine) == chunk_users else None
            if mine or chunk_no:  # an empty ledger has no chunk at all
                ref = ChunkRef(run_id, Phase.SCAN, chunk_no)
                self._plan(ChunkRow(ref=ref, users=len(mine), after=after, through=through))
            chunk_no, made, after = chunk_no + 1, made + 1, through
            if through is None:
                self._change(run_id, state=RunState.SCANNING)
                return
        self._runs[run_id] = replace(self._row(run_id), planned_through=after)
        if chunks_max is not None and made >= chunks_max:
            self._change(run_id, state=RunState.SCANNING, rotated_through=after)

    def _plan(self, chunk: ChunkRow) -> None:
        self._chunks[chunk.ref] = chunk
        planned = self._row(chunk.ref.run_id).run.users_planned + chunk.users
        self._change(chunk.ref.run_id, users_planned=planned)

    # -- leasing ------------------------------------------------------------------------------

    def lease_chunks(
        self,
        run_id: UUID,
        *,
        lease_s: float,
        limit: int = 1,
        attempts_max: int,
        ref: ChunkRef | None = None,
    ) -> Leased:
        with self._call("lease_chunks"):
            run = self._row(run_id).run
            phase = _PHASES.get(run.state)
            if phase is None or (ref is not None and ref.phase is not phase):
                return Leased(state=run.state)
            if wait_s := self._wait_s(run):
                return Leased(state=run.state, wait_s=wait_s)
            free = [
                chunk
                for chunk in self._chunks_of(run_id, phase)
                if chunk.leasable(self._clock.now()) and chunk.attempts < attempts_max
                if ref in (None, chunk.ref)
            ]
            leases = tuple(self._lease(chunk, lease_s) for chunk in free[:limit])
            return Leased(state=run.state, leases=leases)

    def _lease(self, chunk: ChunkRow, lease_s: float) -> Lease:
        leased = self._change_chunk(
            chunk,
            state=ChunkState.LEASED,
            token=uuid4(),
            attempts=chunk.attempts + 1,
            lease_until=self._clock.now() + timedelta(seconds=lease_s),
        )
        assert leased.token is not None
        return Lease(
            ref=leased.ref,
            token=leased.token,
            attempt=leased.attempts,
            users=leased.users,
            after=leased.after,
            through=leased.through,
            user_addresses=leased.user_addresses,
        )

    def release(self, lease: Lease) -> None:
        with self._call("release"):
            chunk = self._held(lease)
            if chunk is not None:
                self._change_chunk(
                    chunk,
                    state=ChunkState.PENDING,
                    attempts=chunk.attempts - 1,
                    queued_at=None,
                    lease_until=None,
                )

    def fail_attempt(self, lease: Lease, error: ReconcileError, *, attempts_max: int) -> Closed:
        with self._call("fail_attempt"):
            run = self._row(lease.ref.run_id).run
            chunk = self._held(lease)
            accepted = chunk is not None and _PHASES.get(run.state) is lease.ref.phase
            if accepted and chunk is not None:
                self._fail(chunk, error, attempts_max)
            return self._closed(lease, accepted=accepted)

    def requeue(self, run_id: UUID, *, older_than_s: float, attempts_max: int) -> Requeued:
        with self._call("requeue"):
            run = self._row(run_id).run
            phase = _PHASES.get(run.state)
            gave_up = self._give_up(run_id, phase, attempts_max) if phase else []
            run, now = self._row(run_id).run, self._clock.now()
            refs: list[ChunkRef] = []
            for chunk in self._chunks_of(run_id, phase) if phase else ():
                if run.is_active and _has_no_message(chunk, now, older_than_s):
                    self._change_chunk(chunk, queued_at=now)
                    refs.append(chunk.ref)
            standing = tally(self._chunks_of(run_id), phase or Phase.CORRECT)
            return Requeued(
                state=run.state,
                refs=tuple(refs),
                wait_s=self._wait_s(run),
                gave_up=len(gave_up),
                outcomes=sum((Counter(chunk.outcomes) for chunk in gave_up), Counter()),
                **standing.as_json(),
            )

    def _give_up(self, run_id: UUID, phase: Phase, attempts_max: int) -> list[ChunkRow]:
        spent = [
            chunk
            for chunk in self._chunks_of(run_id, phase)
            if chunk.leasable(self._clock.now()) and chunk.attempts >= attempts_max
        ]
        for chunk in spent:
            fault = f"the chunk was given up after {chunk.attempts} attempts"
            self._fail(chunk, ChunkGaveUp(fault, remedy="The next run looks again."), attempts_max)
        return [self._chunks[chunk.ref] for chunk in spent]

    def _fail(self, chunk: ChunkRow, error: ReconcileError, attempts_max: int) -> None:
        chunk = self._change_chunk(chunk, error_code=error.code, error=str(error), lease_until=None)
        if chunk.attempts < attempts_max:
            self._change_chunk(chunk, state=ChunkState.PENDING)
        elif chunk.ref.phase is Phase.SCAN:
            self._fail_scan(chunk, error)
        else:
            results = [
                ReconciliationResult(
                    user_address=row.user_address,
                    outcome=Outcome.FAILED,
                    timestamp=self._clock.now(),
                    old_balance=row.ledger_balance,
                    error=str(error),
                    error_code=error.code,
                )
                for row in self._undecided(chunk)
            ]
            self._decide_all(chunk, results, ChunkState.FAILED, script_calls=0)

    def _fail_scan(self, chunk: ChunkRow, error: ReconcileError) -> None:
        users: Iterable[str]
        if chunk.user_addresses is not None:
            users = dict.fromkeys(chunk.user_addresses)
        else:
            users = self._ledger.keys_between(chunk.after, chunk.through)
        rows = [
            ResultRow(
                user_address=user,
                outcome=Outcome.FAILED,
                decided_at=self._clock.now(),
                error_code=error.code,
                error=str(error),
            )
            for user in users
        ]
        kept = self._keep_first(chunk.ref.run_id, rows)
        self._change_chunk(chunk, state=ChunkState.FAILED, users_seen=len(kept), failed=len(kept))

    # -- scanning -----------------------------------------------------------------------------

    def close_scan(self, lease: Lease, found: ScanFound) -> Closed:
        with self._call("close_scan"):
            run = self._row(lease.ref.run_id).run
            listed = len(found.candidates) + len(found.held) + len(found.failures)
            if found.users != found.in_sync + listed:
                raise _invalid("p_users")
            chunk = self._held(lease)
            if chunk is not None and run.state is RunState.SCANNING:
                self._store_scan(chunk, found)
                return self._closed(lease, accepted=True)
            return self._closed(lease, accepted=self._was_closed(lease))

    def _store_scan(self, chunk: ChunkRow, found: ScanFound) -> None:
        now = self._clock.now()
        rows = [of_candidate(each, now) for each in found.candidates]
        rows += [of_held(each, now) for each in found.held]
        rows += [of_failure(each, now) for each in found.failures]
        kept = self._keep_first(chunk.ref.run_id, rows)
        candidates = [row for row in kept if row.outcome is Outcome.WOULD_CORRECT]
        held = sum(row.outcome is Outcome.HELD for row in kept)
        self._change_chunk(
            chunk,
            state=ChunkState.DONE,
            users_seen=found.in_sync + len(kept),
            in_sync=found.in_sync,
            candidates=len(candidates),
            held=held,
            failed=len(kept) - len(candidates) - held,
            funded=found.funded,
            funded_reading_zero=found.funded_reading_zero,
            surplus=_surplus(candidates),
            deficit=_deficit(candidates),
            first_height=found.first_height,
            last_height=found.last_height,
            script_calls=found.script_calls,
        )

    def _keep_first(self, run_id: UUID, rows: Sequence[ResultRow]) -> list[ResultRow]:
        """Store the results of users whom no other chunk of the run has shown already."""
        kept = []
        for row in rows:
            if (run_id, row.user_address) not in self._results:
                self._results[run_id, row.user_address] = row
                kept.append(row)
        return kept

    def decide(self, run_id: UUID, halt: Halt | None) -> Run:
        with self._call("decide"):
            run = self._run(run_id)
            scan = run.scan
            if run.state is RunState.SCANNING and not (scan.pending or scan.leased):
                self._decide(run, halt)
            return self._run(run_id)

    def _decide(self, run: Run, halt: Halt | None) -> None:
        now = self._clock.now()
        self._change(run.run_id, scanned_at=now)
        if run.dry_run or not run.candidates:
            self._change(run.run_id, state=RunState.FINISHED, finished_at=now)
        elif halt and run.accepted_halt is None:
            self._change(run.run_id, state=RunState.HALTED, finished_at=now, halt=halt)
        else:
            self._change(run.run_id, halt=halt)
            if self._row(run.run_id).plan.needs_approval:
                self._change(run.run_id, state=RunState.AWAITING_APPROVAL)
            else:
                self._begin_corrections(run.run_id)

    def _begin_corrections(self, run_id: UUID) -> None:
        run = self._row(run_id).run
        found_at = run.scanned_at
        if run.kind is RunKind.PLAN and run.plan_run_id is not None:
            found_at = self._row(run.plan_run_id).run.scanned_at
        assert found_at is not None
        candidates = [
            row for row in self._results_of(run_id) if row.outcome is Outcome.WOULD_CORRECT
        ]
        size = run.policy.batch_size
        for chunk_no, first in enumerate(range(0, len(candidates), size)):
            mine = candidates[first : first + size]
            ref = ChunkRef(run_id, Phase.CORRECT, chunk_no)
            self._chunks[ref] = ChunkRow(ref=ref, users=len(mine))
            for row in mine:
                self._results[run_id, row.user_address] = replace(row, correct_chunk_no=chunk_no)
        settle_until = found_at + timedelta(seconds=run.policy.settle_s)
        self._change(run_id, state=RunState.CORRECTING, settle_until=settle_until)

    # -- correcting ---------------------------------------------------------------------------

    def list_candidates(self, lease: Lease) -> list[Candidate]:
        with self._call("list_candidates"):
            chunk = self._chunks.get(lease.ref)
            return [row.candidate() for row in self._undecided(chunk)] if chunk else []

    def close_correction(
        self, lease: Lease, results: Sequence[ReconciliationResult], script_calls: int
    ) -> Closed:
        with self._call("close_correction", [each.user_address for each in results]):
            run = self._row(lease.ref.run_id).run
            if any(each.outcome not in _DECISIONS for each in results):
                raise _invalid("p_outcomes")
            chunk = self._held(lease)
            if chunk is None or run.state is not RunState.CORRECTING:
                return self._closed(lease, accepted=self._was_closed(lease))
            self._decide_all(chunk, results, ChunkState.DONE, script_calls=script_calls)
            return self._closed(lease, accepted=True)

    def _decide_all(
        self,
        chunk: ChunkRow,
        results: Sequence[ReconciliationResult],
        state: ChunkState,
        *,
        script_calls: int,
    ) -> None:
        """Write what became of a chunk's candidates; the last chunk finishes the run."""
        run_id = chunk.ref.run_id
        given = {each.user_address: each for each in results}
        outcomes: list[Outcome] = []
        for row in self._undecided(chunk):
            audit = self._audit_of(run_id, row.user_address)
            if audit is not None:
                decided = _of_audit(row, audit, self._clock.now())
            elif row.user_address not in given:
                raise _invalid("a candidate of the chunk has no result")
            else:
                decided = _of_result(row, given[row.user_address], self._clock.now())
                if decided.outcome is Outcome.CORRECTED:
                    raise _invalid("a corrected user has no audit row of this run")
            self._results[run_id, row.user_address] = decided
            outcomes.append(decided.outcome)
        self._change_chunk(
            chunk,
            state=state,
            script_calls=script_calls,
            **{str(each): outcomes.count(each) for each in _DECISIONS},
        )
        if not self._open_chunks(run_id, Phase.CORRECT):
            self._change(run_id, state=RunState.FINISHED, finished_at=self._clock.now())

    def _record_corrected(self, run_id: UUID) -> None:
        """Tell from the audit log whom open chunks have corrected already."""
        for chunk in self._chunks_of(run_id, Phase.CORRECT):
            audits = {
                row: self._audit_of(run_id, row.user_address) for row in self._undecided(chunk)
            }
            corrected = [
                _of_audit(row, audit, self._clock.now()) for row, audit in audits.items() if audit
            ]
            for row in corrected:
                self._results[run_id, row.user_address] = row
            self._change_chunk(chunk, corrected=chunk.corrected + len(corrected))

    def _undecided(self, chunk: ChunkRow) -> list[ResultRow]:
        if chunk.ref.phase is not Phase.CORRECT:
            return []
        return [
            row
            for row in self._results_of(chunk.ref.run_id)
            if row.correct_chunk_no == chunk.ref.chunk_no and row.outcome is Outcome.WOULD_CORRECT
        ]

    def _audit_of(self, run_id: UUID, key: str) -> AuditRow | None:
        ours = (
            row for row in self._ledger.audit if row.run_id == run_id and row.user_address == key
        )
        return next(ours, None)

    # -- approving and ending -----------------------------------------------------------------

    def approve(self, run_id: UUID) -> Run:
        with self._call("approve"):
            run = self._run(run_id)
            if run.state is RunState.CORRECTING and self._row(run_id).plan.needs_approval:
                return run
            if run.state is not RunState.AWAITING_APPROVAL:
                raise _not_applicable("the run does not wait for an approval", run)
            self._require_no_other(run_id)
            self._begin_corrections(run_id)
            return self._run(run_id)

    def end_run(self, run_id: UUID, state: RunState, error: ReconcileError | None = None) -> Run:
        with self._call("end_run"):
            run = self._run(run_id)
            if run.state is state:
                return run
            if run.state in _ENDED:
                raise _not_applicable("the run has ended", run)
            self._record_corrected(run_id)
            self._change(
                run_id,
                state=state,
                finished_at=self._clock.now(),
                error=str(error) if error else None,
                error_code=error.code if error else None,
            )
            return self._run(run_id)

    # -- reading ------------------------------------------------------------------------------

    def get_run(self, run_id: UUID) -> Run:
        with self._call("get_run"):
            return self._run(run_id)

    def list_runs(self, *, before: UUID | None = None, limit: int = 50) -> list[Run]:
        with self._call("list_runs"):
            bound = None if before is None else _age(self._row(before).run)
            runs = [row.run for row in self._runs.values()]
            older = [run for run in runs if bound is None or _age(run) < bound]
            newest = sorted(older, key=_age, reverse=True)[:limit]
            return [self._run(run.run_id) for run in newest]

    def active_run(self) -> Run | None:
        with self._call("active_run"):
            runs = (row.run for row in self._runs.values())
            active = next((run for run in runs if run.is_active and not run.dry_run), None)
            return self._run(active.run_id) if active else None

    def covering_run(self) -> Run | None:
        with self._call("covering_run"):
            covering = [
                ((row.run.covered_height, *_age(row.run)), row.run)
                for row in self._runs.values()
                if row.run.state is RunState.FINISHED and not row.run.dry_run
                if row.run.covered_height is not None
            ]
            if not covering:
                return None
            return self._run(max(covering, key=lambda each: each[0])[1].run_id)

    def list_results(
        self,
        run_id: UUID,
        *,
        after: str | None,
        limit: int,
        outcomes: Sequence[Outcome] | None = None,
    ) -> list[ReconciliationResult]:
        with self._call("list_results"):
            rows = self._chosen(run_id, outcomes)
            later = [row for row in rows if after is None or row.user_address > after]
            return [row.result() for row in later[:limit]]

    def count_results(self, run_id: UUID, outcomes: Sequence[Outcome] | None = None) -> int:
        with self._call("count_results"):
            return len(self._chosen(run_id, outcomes))

    def _chosen(self, run_id: UUID, outcomes: Sequence[Outcome] | None) -> list[ResultRow]:
        self._row(run_id)
        rows = self._results_of(run_id)
        return [row for row in rows if outcomes is None or row.outcome in outcomes]

    # -- what several of these need -----------------------------------------------------------

    def _wait_s(self, run: Run) -> float:
        if run.state is not RunState.CORRECTING or run.settle_until is None:
            return 0.0
        return max(0.0, (run.settle_until - self._clock.now()).total_seconds())

    def _require_no_other(self, run_id: UUID) -> None:
        for row in self._runs.values():
            if row.run.state in ACTIVE and not row.run.dry_run and row.run.run_id != run_id:
                raise RunActive(
                    f"run {row.run.run_id} is {row.run.state} and writes", remedy="Wait for it."
                )


def _of_result(row: ResultRow, result: ReconciliationResult, now: datetime) -> ResultRow:
    return replace(
        row,
        outcome=result.outcome,
        decided_at=now,
        ledger_balance=result.old_balance,
        contract_balance=result.new_balance,
        decided_height=result.block_height,
        audit_id=result.audit_id,
        error_code=result.error_code,
        error=result.error,
    )


def _of_audit(row: ResultRow, audit: AuditRow, now: datetime) -> ResultRow:
    return replace(
        row,
        outcome=Outcome.CORRECTED,
        decided_at=now,
        ledger_balance=audit.balance_before,
        contract_balance=audit.balance_after,
        decided_height=audit.block_height,
        audit_id=audit.id,
        error_code=None,
        error=None,
    )


def _require_plan(source: Run) -> None:
    finished_dry = source.state is RunState.FINISHED and source.dry_run
    if source.scanned_at is None or not (finished_dry or source.state in _WITH_PLAN):
        raise _not_applicable("the run has no plan", source)


def _failed_in_scan(row: ResultRow) -> bool:
    return row.outcome is Outcome.FAILED and row.scan_height is None


def _has_no_message(chunk: ChunkRow, now: datetime, older_than_s: float) -> bool:
    if chunk.state is not ChunkState.PENDING:
        return chunk.expired(now)
    return chunk.queued_at is None or (now - chunk.queued_at).total_seconds() > older_than_s


def _surplus(candidates: Iterable[ResultRow]) -> FlowAmount:
    return FlowAmount(sum(max(0, row.discrepancy or 0) for row in candidates))


def _deficit(candidates: Iterable[ResultRow]) -> FlowAmount:
    return FlowAmount(sum(min(0, row.discrepancy or 0) for row in candidates))


def _age(run: Run) -> tuple[datetime, UUID]:
    return run.started_at, run.run_id


def _not_applicable(fault: str, run: Run | None = None) -> RunNotApplicable:
    state = f" ({run.state})" if run else ""
    return RunNotApplicable(f"{fault}{state}", remedy="Start a new run.")


def _invalid(what: str) -> LedgerInvalidValue:
    return LedgerInvalidValue(f"the database refuses a value ({what})", remedy="Nothing changed.")
