"""The tables of runs in memory: what every procedure of the fake run store works on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.core.errors import RunNotFound
from shared.core.run import ChunkRef, ChunkState, Closed, Lease, Phase, Run
from tests.fakes.fake_ledger import FakeLedger
from tests.fakes.faults import Faulty
from tests.fakes.run_rows import ChunkRow, ResultRow, RunRow, with_counts


class RunTables(Faulty):
    """Runs, chunks and results, in one database with a ledger."""

    def __init__(self, ledger: FakeLedger) -> None:
        super().__init__(ledger.lock)
        self._ledger = ledger
        self._runs: dict[UUID, RunRow] = {}
        self._chunks: dict[ChunkRef, ChunkRow] = {}
        self._results: dict[tuple[UUID, str], ResultRow] = {}

    def _begin(self) -> Callable[[], None]:
        before = dict(self._runs), dict(self._chunks), dict(self._results)

        def roll_back() -> None:
            self._runs, self._chunks, self._results = before

        return roll_back

    def _row(self, run_id: UUID) -> RunRow:
        row = self._runs.get(run_id)
        if row is None:
            raise RunNotFound(f"there is no run {run_id}", remedy="Look at the list of runs.")
        return row

    def _run(self, run_id: UUID) -> Run:
        return with_counts(self._row(run_id).run, self._chunks_of(run_id))

    def _change(self, run_id: UUID, **changes: Any) -> None:
        row = self._row(run_id)
        self._runs[run_id] = replace(row, run=replace(row.run, **changes))

    def _chunks_of(self, run_id: UUID, phase: Phase | None = None) -> list[ChunkRow]:
        """In the order of their numbers."""
        mine = [
            chunk
            for ref, chunk in self._chunks.items()
            if ref.run_id == run_id and phase in (None, ref.phase)
        ]
        return sorted(mine, key=lambda chunk: chunk.ref.chunk_no)

    def _range_chunks(self, run_id: UUID) -> list[ChunkRow]:
        return [chunk for chunk in self._chunks_of(run_id) if chunk.user_addresses is None]

    def _next_chunk_no(self, run_id: UUID) -> int:
        return max((chunk.ref.chunk_no for chunk in self._chunks_of(run_id)), default=-1) + 1

    def _open_chunks(self, run_id: UUID, phase: Phase) -> int:
        return sum(chunk.is_open for chunk in self._chunks_of(run_id, phase))

    def _change_chunk(self, chunk: ChunkRow, **changes: Any) -> ChunkRow:
        changed = replace(chunk, **changes)
        self._chunks[chunk.ref] = changed
        return changed

    def _held(self, lease: Lease) -> ChunkRow | None:
        """The chunk, if this lease is still its last one and it is open."""
        chunk = self._chunks.get(lease.ref)
        held = chunk and chunk.state is ChunkState.LEASED and chunk.token == lease.token
        return chunk if held else None

    def _was_closed(self, lease: Lease) -> bool:
        chunk = self._chunks.get(lease.ref)
        return bool(chunk and chunk.state is ChunkState.DONE and chunk.token == lease.token)

    def _closed(self, lease: Lease, *, accepted: bool) -> Closed:
        return Closed(
            accepted=accepted,
            state=self._row(lease.ref.run_id).run.state,
            open_chunks=self._open_chunks(lease.ref.run_id, lease.ref.phase),
            outcomes=self._chunks[lease.ref].outcomes if accepted else {},
        )

    def _results_of(self, run_id: UUID) -> list[ResultRow]:
        """In the order of their keys."""
        mine = [row for (owner, _), row in self._results.items() if owner == run_id]
        return sorted(mine, key=lambda row: row.user_address)
