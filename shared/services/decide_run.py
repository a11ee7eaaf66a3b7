"""The review of a run whose scan is over: go on, halt, ask, or finish."""

from uuid import UUID

from shared.core.review import review
from shared.core.run import Run, RunState
from shared.ports.run_store import RunStore


def decide(store: RunStore, run_id: UUID) -> Run:
    """Review the run if all of its scan chunks are closed. Any worker may; the first decides."""
    run = store.get_run(run_id)
    if run.state is not RunState.SCANNING or run.scan.pending or run.scan.leased:
        return run
    halt = None if run.dry_run else review(run.scan_counts(), run.policy)
    return store.decide(run_id, halt)
