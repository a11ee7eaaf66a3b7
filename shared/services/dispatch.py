"""Hand a run's chunks to the queue: after its plan, for its corrections, and at every tick."""

from dataclasses import dataclass
from uuid import UUID

from shared.core.run import ATTEMPTS_MAX, Requeued, Run, RunState
from shared.ports.chunk_queue import ChunkQueue
from shared.ports.run_store import RunStore
from shared.services.decide_run import decide

MESSAGE_LOST_S = 900.0
"""Age at which a message that nobody has worked is taken for lost and sent again: the longest delay
of a queue. One that was only late is then delivered twice, which costs one call."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """The run as it stands, and how many messages were sent."""

    run: Run
    sent: int
    requeued: Requeued | None = None


class Dispatcher:
    """Sends messages for chunks that have none. Duplicates and repetitions do no harm."""

    def __init__(self, store: RunStore, queue: ChunkQueue) -> None:
        self._store = store
        self._queue = queue

    def dispatch(self, run_id: UUID) -> Dispatched:
        """Review the run if its scan is over, then queue what waits. Raises QueueError: then the
        next tick sends what is missing once MESSAGE_LOST_S are over."""
        run = decide(self._store, run_id)
        if not run.is_active or run.state is RunState.PLANNING:
            return Dispatched(run, 0)
        requeued = self._store.requeue(
            run_id, older_than_s=MESSAGE_LOST_S, attempts_max=ATTEMPTS_MAX
        )
        if requeued.refs:
            self._queue.send(requeued.refs, requeued.wait_s)
        elif not requeued.open_chunks:  # the last open one has just been given up
            run = decide(self._store, run_id)
            if run.state is RunState.CORRECTING and requeued.state is RunState.SCANNING:
                return self.dispatch(run_id)
        return Dispatched(run, len(requeued.refs), requeued)
