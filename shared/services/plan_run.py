"""Plan a run: whom to look at, cut into chunks, stored before anybody is looked at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID, uuid4

from shared.core.admin import check_admin_address
from shared.core.errors import ReconcileError, RunActive
from shared.core.outcome import Outcome
from shared.core.policy import Policy
from shared.core.run import Run, RunKind, RunPlan, RunState
from shared.ports.run_store import RunStore
from shared.services.changed_users import ChangedUsers
from shared.services.read_contract import ContractReader
from shared.services.stored_results import StoredResults

NAMED_USERS_MAX = 10_000
"""Users in a chunk that names them: looked up under four spellings each, 50,000 keys a call."""
UNSETTLED_MAX = 100_000
"""Users that an incremental run takes over from the run before; more of them need a full run."""

_UNSETTLED = (Outcome.FAILED, Outcome.CHANGED_MEANWHILE, Outcome.HELD, Outcome.WOULD_CORRECT)
"""Who is held is looked at again, so that a release is followed by a correction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Who asks for a run, and how it is to go. `accept_halt`: why a halt would not stop it.

    With a `run_id` of its own a request that is repeated finds the run that it has started before.
    Raises InvalidAdmin.
    """

    admin_address: str
    dry_run: bool = False
    needs_approval: bool = False
    accept_halt: str | None = None
    run_id: UUID | None = None

    def __post_init__(self) -> None:
        check_admin_address(self.admin_address)


class RunPlanner:
    """Starts runs of every kind. Methods raise RunActive when a run that writes is active already
    and ReconcileError when a side cannot be asked; no run is left behind then."""

    def __init__(
        self,
        store: RunStore,
        contract: ContractReader,
        changed: ChangedUsers,
        policy: Policy,
        *,
        rotate_chunks: int = 1,
    ) -> None:
        """`rotate_chunks`: chunks of the whole ledger that each incremental run looks at too."""
        self._store = store
        self._contract = contract
        self._changed = changed
        self._policy = policy
        self._rotate_chunks = rotate_chunks

    def full(self, request: RunRequest, *, fallback_reason: str | None = None) -> Run:
        """A run over everyone in the ledger."""
        run = self._start(
            request,
            RunKind.FULL,
            # Taken before anybody is looked at: later changes are the next run's.
            covered_height=self._contract.latest_height(),
            fallback_reason=fallback_reason,
        )
        return self._cut(run, chunks_max=None)

    def incremental(self, request: RunRequest) -> Run:
        """A run over the users that events since the last run name, those it left unsettled, and
        the next part of the others. A full run when it is not known whom the events name."""
        last = self._store.covering_run()
        if last is None or last.covered_height is None:
            return self.full(request, fallback_reason="no finished run to go on from")
        height = self._contract.latest_height(at_least=last.covered_height)
        try:
            users = self._changed.since(last.covered_height + 1, height)
        except ReconcileError as error:
            return self.full(request, fallback_reason=f"{error.code}: {error.fault}")
        unsettled = StoredResults(self._store, last.run_id, _UNSETTLED)
        if len(unsettled) > UNSETTLED_MAX:
            reason = f"the last run left {len(unsettled):,} users unsettled"
            return self.full(request, fallback_reason=reason)
        run = self._start(
            request,
            RunKind.INCREMENTAL,
            covered_height=height,
            from_height=last.covered_height + 1,
            rotate_after=last.rotated_through,
        )
        if run.state is not RunState.PLANNING:
            return run  # a repetition
        named = sorted(users.union(result.user_address for result in unsettled))
        for chunk_no, chunk in enumerate(_chunks(named, self._named_users_max())):
            self._store.add_user_chunk(run.run_id, chunk_no, chunk)
        return self._cut(run, chunks_max=self._rotate_chunks)

    def of_plan(self, plan_run_id: UUID, request: RunRequest) -> Run:
        """A run that carries out what an earlier one found and did not write.

        Raises RunNotFound and RunNotApplicable.
        """
        return self._start(request, RunKind.PLAN, plan_run_id=plan_run_id)

    def go_on(self, run: Run) -> Run:
        """Plan to its end what another planner has begun; it may be at it still.

        Raises RunActive for an incremental run: whom else it was to look at is not stored.
        """
        if run.state is RunState.PLANNING and run.kind is RunKind.INCREMENTAL:
            raise RunActive(
                f"run {run.run_id} is still being planned",
                remedy="Wait a moment; cancel it if its planner is gone.",
            )
        return self._cut(run, chunks_max=None)

    def _start(
        self,
        request: RunRequest,
        kind: RunKind,
        *,
        plan_run_id: UUID | None = None,
        covered_height: int | None = None,
        from_height: int | None = None,
        rotate_after: str | None = None,
        fallback_reason: str | None = None,
    ) -> Run:
        return self._store.start_run(
            RunPlan(
                run_id=request.run_id or uuid4(),
                kind=kind,
                dry_run=request.dry_run,
                admin_address=request.admin_address,
                policy=self._policy,
                needs_approval=request.needs_approval,
                accepted_halt=request.accept_halt,
                plan_run_id=plan_run_id,
                covered_height=covered_height,
                from_height=from_height,
                rotate_after=rotate_after,
                fallback_reason=fallback_reason,
            )
        )

    def _cut(self, run: Run, *, chunks_max: int | None) -> Run:
        while run.state is RunState.PLANNING:
            run = self._store.plan_chunks(
                run.run_id, chunk_users=self._policy.batch_size, chunks_max=chunks_max
            )
        return run

    def _named_users_max(self) -> int:
        return min(NAMED_USERS_MAX, self._policy.batch_size)


def _chunks(users: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(users)
    while chunk := list(islice(rest, size)):
        yield chunk
