"""Work a run's chunks in this process: the command, or a function's host without a queue."""

from collections.abc import Callable, Generator
from contextlib import closing, suppress
from uuid import UUID

from shared.core.errors import ReconcileError
from shared.core.outcome import Outcome
from shared.core.run import ATTEMPTS_MAX, Lease, Phase, Run, RunState
from shared.ports.clock import Clock
from shared.ports.run_store import RunStore
from shared.services.chunk_worker import ChunkWorker
from shared.services.deadline import ShouldStop
from shared.services.decide_run import decide

_POLL_S = 0.5

Progress = Callable[[str, int, int | None], None]
"""(phase, done, in all or None); phase is `scan` or `correct` (users), `settle` (seconds), or
`wait` while another worker, perhaps a lost one, has what is left."""


class InlineRunner:
    """Goes on with a run until there is nothing left to do, or it is told to stop."""

    def __init__(
        self,
        store: RunStore,
        worker: ChunkWorker,
        clock: Clock,
        *,
        lease_s: float,
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._lease_s = lease_s

    def run(
        self, run_id: UUID, progress: Progress, should_stop: ShouldStop, *, fail_fast: bool
    ) -> Run:
        """Return the run as it stands at the end or at the stop.

        Raises ReconcileError when the run store cannot be reached, or a chunk cannot be worked.
        The chunk is handed back then, for the next one who goes on with the run. With `fail_fast`
        the run is failed instead: raised is then only the error of a scan (nothing was written),
        one of a correction is in the answer.
        """
        run = self._store.get_run(run_id)
        while run.is_active and not should_stop():
            try:
                self._phase(run, progress, should_stop, fail_fast=fail_fast)
            except _ChunkFailed as failed:
                if not fail_fast:
                    raise failed.error from None
                return self._failed(run, failed.error)
            run = decide(self._store, run_id)
        return run

    def _failed(self, run: Run, error: ReconcileError) -> Run:
        if run.state is RunState.CORRECTING:
            # It may have been the last chunk, and the run have finished with these failures.
            run = self._store.get_run(run.run_id)
            return self._store.end_run(run.run_id, RunState.FAILED, error) if run.is_active else run
        with suppress(ReconcileError):  # the error that is told is the first one
            self._store.end_run(run.run_id, RunState.FAILED, error)
        raise error

    def _phase(
        self, run: Run, progress: Progress, should_stop: ShouldStop, *, fail_fast: bool
    ) -> None:
        """Work what chunks can be had; when none can, wait a moment."""
        phase = Phase.SCAN if run.state is RunState.SCANNING else Phase.CORRECT
        total = run.users_planned if phase is Phase.SCAN else run.candidates
        done = run.users if phase is Phase.SCAN else run.candidates - _undecided(run)
        leases = _Leases(self._store, run.run_id, self._lease_s)
        chunks = self._worker.work(
            run,
            phase,
            leases.lease(),
            attempts_max=1 if fail_fast else ATTEMPTS_MAX,
            should_stop=should_stop,
        )
        worked = 0
        with closing(chunks):
            for chunk in chunks:
                if chunk.error is not None:
                    raise _ChunkFailed(chunk.error)
                worked += 1
                done += chunk.users if chunk.closed.accepted else 0
                progress(phase, done, max(done, total))
        if leases.wait_s:
            self._settle(run.policy.settle_s, leases.wait_s, progress, should_stop)
        elif not worked and not should_stop():
            self._wait_for_others(run.run_id, progress)

    def _wait_for_others(self, run_id: UUID, progress: Progress) -> None:
        requeued = self._store.requeue(
            run_id, older_than_s=self._lease_s, attempts_max=ATTEMPTS_MAX
        )
        if requeued.leased:
            progress("wait", 0, None)
            self._clock.sleep(_POLL_S)

    def _settle(
        self, whole_s: float, wait_s: float, progress: Progress, should_stop: ShouldStop
    ) -> None:
        """Wait until the youngest difference is `settle_s` old, or until the stop."""
        until_s = self._clock.monotonic_s() + wait_s
        while (left_s := until_s - self._clock.monotonic_s()) > 0 and not should_stop():
            progress("settle", max(0, round(whole_s - left_s)), round(whole_s))
            self._clock.sleep(min(_POLL_S, left_s))


def _undecided(run: Run) -> int:
    return run.outcomes.get(Outcome.WOULD_CORRECT, 0)


class _ChunkFailed(Exception):
    def __init__(self, error: ReconcileError) -> None:
        super().__init__(error)
        self.error = error


class _Leases:
    """Leases one chunk after the other. `wait_s`: why there was none, if it is too early."""

    def __init__(self, store: RunStore, run_id: UUID, lease_s: float) -> None:
        self._store = store
        self._run_id = run_id
        self._lease_s = lease_s
        self.wait_s = 0.0

    def lease(self) -> Generator[Lease, None, None]:
        while True:
            leased = self._store.lease_chunks(
                self._run_id, lease_s=self._lease_s, attempts_max=ATTEMPTS_MAX
            )
            if not leased.leases:
                self.wait_s = leased.wait_s
                return
            yield from leased.leases
