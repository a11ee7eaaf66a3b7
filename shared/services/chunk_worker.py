"""Works leased chunks: scan or correct each, then close it or hand it back. Stateless.

Whatever happens to a worker, nothing is lost: a chunk that was not closed is leased again when its
lease expires, and a correction is written once for a run and user.
"""

from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from uuid import UUID

from shared.core.compare import Candidate
from shared.core.errors import ReconcileError
from shared.core.run import Closed, Lease, Phase, Run
from shared.ports.run_store import RunStore
from shared.services.correct import Corrector, SecondLook
from shared.services.deadline import ShouldStop
from shared.services.pipeline import ahead
from shared.services.scan import Scanner

Leases = Generator[Lease, None, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkedChunk:
    """What became of a leased chunk. `error`: why it was handed back, or failed for good."""

    lease: Lease
    closed: Closed
    users: int
    error: ReconcileError | None = None


class ChunkWorker:
    """Works the chunks of one run at a time; several workers share a run through its leases."""

    def __init__(self, scanner: Scanner, corrector: Corrector, store: RunStore) -> None:
        self._scanner = scanner
        self._corrector = corrector
        self._store = store

    def work(
        self, run: Run, phase: Phase, leases: Leases, *, attempts_max: int, should_stop: ShouldStop
    ) -> Generator[WorkedChunk, None, None]:
        """Yield each chunk after it was closed or handed back.

        Stops between two chunks when `should_stop` says so, or when the reader stops; leased
        chunks that were not worked are released then. Raises ReconcileError when the run store
        cannot be reached.
        """
        unworked: dict[UUID, Lease] = {}
        work = self._scan if phase is Phase.SCAN else self._correct
        worked = work(run, _tracked(leases, unworked), attempts_max)
        try:
            for chunk in worked:
                unworked.pop(chunk.lease.token, None)
                yield chunk
                if should_stop():
                    return
        finally:
            worked.close()
            self._release(unworked)

    def _release(self, unworked: dict[UUID, Lease]) -> None:
        for lease in unworked.values():
            with suppress(ReconcileError):  # then the lease expires
                self._store.release(lease)

    # -- scan ---------------------------------------------------------------------------------

    def _scan(
        self, run: Run, leases: Leases, attempts_max: int
    ) -> Generator[WorkedChunk, None, None]:
        with closing(self._scanner.scan(leases, run.policy)) as scanned:
            for lease, found in scanned:
                if isinstance(found, ReconcileError):
                    yield self._failed(lease, found, attempts_max)
                else:
                    closed = self._store.close_scan(lease, found)
                    yield WorkedChunk(lease=lease, closed=closed, users=found.users)

    # -- correct ------------------------------------------------------------------------------

    def _correct(
        self, run: Run, leases: Leases, attempts_max: int
    ) -> Generator[WorkedChunk, None, None]:
        with closing(ahead(self._looks(run, leases))) as looks:
            for lease, candidates, look in looks:
                if isinstance(look, ReconcileError):
                    yield self._failed(lease, look, attempts_max)
                else:
                    yield self._write(run, lease, candidates, look, attempts_max)

    def _looks(
        self, run: Run, leases: Leases
    ) -> Generator[tuple[Lease, list[Candidate], SecondLook | ReconcileError], None, None]:
        with closing(leases):
            for lease in leases:
                candidates: list[Candidate] = []
                look: SecondLook | ReconcileError
                try:
                    candidates = self._store.list_candidates(lease)
                    look = self._corrector.look_again(candidates, run.policy)
                except ReconcileError as error:
                    look = error
                yield lease, candidates, look

    def _write(
        self,
        run: Run,
        lease: Lease,
        candidates: list[Candidate],
        look: SecondLook,
        attempts_max: int,
    ) -> WorkedChunk:
        try:
            results = self._corrector.write(
                look, admin_address=run.admin_address, run_id=run.run_id
            )
        except ReconcileError as error:
            return self._failed(lease, error, attempts_max)
        closed = self._store.close_correction(lease, results, look.script_calls)
        return WorkedChunk(lease=lease, closed=closed, users=len(candidates))

    def _failed(self, lease: Lease, error: ReconcileError, attempts_max: int) -> WorkedChunk:
        closed = self._store.fail_attempt(lease, error, attempts_max=attempts_max)
        return WorkedChunk(lease=lease, closed=closed, users=0, error=error)


def _tracked(leases: Leases, unworked: dict[UUID, Lease]) -> Leases:
    with closing(leases):
        for lease in leases:
            unworked[lease.token] = lease
            yield lease
