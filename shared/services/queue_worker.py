"""Work the chunks and users that a queue's messages name; one that fails is delivered again."""

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from uuid import UUID

from shared.core.errors import ReconcileError, RunNotFound, UsersUnsettled
from shared.core.outcome import ReconciliationResult
from shared.core.queue_message import Message
from shared.core.run import ATTEMPTS_MAX, ChunkRef, Lease, Phase
from shared.core.user_batch import UserBatch
from shared.ports.chunk_queue import ChunkQueue
from shared.ports.run_store import RunStore
from shared.services.chunk_worker import ChunkWorker, WorkedChunk
from shared.services.deadline import ShouldStop
from shared.services.dispatch import Dispatcher
from shared.services.reconcile_named import NamedReconciler


@dataclass(slots=True)
class Handled:
    """What became of a batch of messages. `failed` maps a message's id to why; those come again.

    `users` were looked at, in `chunks` or by their names; of the latter, `named` has the results.
    """

    users: int = 0
    chunks: int = 0
    handed_back: int = 0
    failed: dict[str, ReconcileError] = field(default_factory=dict)
    named: list[ReconciliationResult] = field(default_factory=list)
    ended_phase: bool = False
    """Was the last chunk of a run's phase among them? Then the run may have ended."""


class QueueWorker:
    """One batch at a time; safe to run many, and to be given a message twice."""

    def __init__(
        self,
        store: RunStore,
        worker: ChunkWorker,
        named: NamedReconciler,
        queue: ChunkQueue,
        dispatcher: Dispatcher,
        *,
        lease_s: float,
    ) -> None:
        """`lease_s` is at most the queue's visibility timeout: a message that comes back because
        its worker died finds the lease expired."""
        self._store = store
        self._worker = worker
        self._named = named
        self._queue = queue
        self._dispatcher = dispatcher
        self._lease_s = lease_s

    def handle(self, messages: Mapping[str, Message], should_stop: ShouldStop) -> Handled:
        """Work what each message names and tell which messages have to come again; never raises
        ReconcileError. At `should_stop` the rest is put into the queue anew."""
        handled = Handled()
        chunks: dict[str, ChunkRef] = {}
        for key, message in messages.items():
            if isinstance(message, UserBatch):  # first: they are few, and somebody waits for them
                self._reconcile(key, message, handled, should_stop)
            else:
                chunks[key] = message
        self._work_chunks(chunks, handled, should_stop)
        return handled

    def _reconcile(
        self, key: str, batch: UserBatch, handled: Handled, should_stop: ShouldStop
    ) -> None:
        try:
            if should_stop():
                self._queue.send([batch])
                handled.handed_back += 1
                return
            done = self._named.reconcile(batch, lambda: False)
        except ReconcileError as error:
            handled.failed[key] = error
            return
        handled.users += len(done.results)
        handled.named += done.results
        if done.unsettled:
            handled.failed[key] = UsersUnsettled(
                f"{len(done.unsettled)} of {len(done.results)} users could not be reconciled",
                remedy=f"The message comes again. The first one: {done.unsettled[0].error_code}.",
            )

    def _work_chunks(
        self, messages: Mapping[str, ChunkRef], handled: Handled, should_stop: ShouldStop
    ) -> None:
        for run_id, phase in dict.fromkeys((ref.run_id, ref.phase) for ref in messages.values()):
            mine = {
                key: ref
                for key, ref in messages.items()
                if (ref.run_id, ref.phase) == (run_id, phase)
            }
            try:
                self._work(run_id, phase, mine, handled, should_stop)
            except RunNotFound:
                continue  # nothing of the run is left to work
            except ReconcileError as error:
                handled.failed.update(dict.fromkeys(mine, error))

    def _work(
        self,
        run_id: UUID,
        phase: Phase,
        messages: Mapping[str, ChunkRef],
        handled: Handled,
        should_stop: ShouldStop,
    ) -> None:
        run = self._store.get_run(run_id)
        if not run.is_active:
            return
        batch = _Batch(messages)
        chunks = self._worker.work(
            run,
            phase,
            self._leases(batch, should_stop),
            attempts_max=ATTEMPTS_MAX,
            should_stop=should_stop,
        )
        phase_is_over = False
        with closing(chunks):
            for chunk in chunks:
                batch.done(chunk.lease.ref)
                self._count(chunk, batch, handled)
                phase_is_over |= not chunk.closed.open_chunks
        self._hand_back(batch, handled)
        handled.ended_phase |= phase_is_over
        if phase is Phase.SCAN and (phase_is_over or batch.repeated):
            # Whoever closes the last scan chunk begins the corrections; should it die before it
            # does, its message comes again.
            self._dispatcher.dispatch(run_id)

    def _leases(self, batch: "_Batch", should_stop: ShouldStop) -> Generator[Lease, None, None]:
        for ref in batch.refs:
            if should_stop():
                return
            leased = self._store.lease_chunks(
                ref.run_id, lease_s=self._lease_s, attempts_max=ATTEMPTS_MAX, ref=ref
            )
            if not leased.leases:
                # Done, another's, or of an ended run: no work of this message's.
                batch.done(ref)
                batch.repeated = True
                if leased.wait_s:
                    batch.early.append(ref)
                    batch.wait_s = leased.wait_s
            yield from leased.leases

    def _count(self, chunk: WorkedChunk, batch: "_Batch", handled: Handled) -> None:
        if chunk.error is not None:
            handled.failed[batch.message_of[chunk.lease.ref]] = chunk.error
        elif chunk.closed.accepted:
            handled.chunks += 1
            handled.users += chunk.users

    def _hand_back(self, batch: "_Batch", handled: Handled) -> None:
        # New messages: letting the old ones fail would count towards the dead-letter queue.
        if batch.early:
            self._queue.send(batch.early, batch.wait_s)
        left = [ref for ref in batch.refs if ref in batch.left]
        if left:
            self._queue.send(left)
            handled.handed_back += len(left)


class _Batch:
    """The messages of one run and phase, and which of them are not dealt with yet."""

    def __init__(self, messages: Mapping[str, ChunkRef]) -> None:
        self.message_of = {ref: key for key, ref in messages.items()}
        self.refs = list(self.message_of)
        self.left = set(self.refs)
        self.early: list[ChunkRef] = []
        self.wait_s = 0.0
        self.repeated = False
        """Was there a message of a chunk that is closed, or another's?"""

    def done(self, ref: ChunkRef) -> None:
        self.left.discard(ref)
