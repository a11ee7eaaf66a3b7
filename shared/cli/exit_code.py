"""Exit codes: 2 outweighs 1, 1 outweighs 0."""

from shared.core.outcome import SETTLED, Outcome, ReconciliationResult
from shared.core.run import Run

FINE = 0
DIFFERENCES_REMAIN = 1
FAILED = 2
QUIT = 130
"""128 + SIGINT, as shells report it."""


def of_user(result: ReconciliationResult) -> int:
    """The code for a single user's result."""
    if result.outcome is Outcome.FAILED:
        return FAILED
    return FINE if result.outcome in SETTLED else DIFFERENCES_REMAIN


def of_sweep(run: Run, *, declined: bool = False) -> int:
    """The code for a run over many; `declined`: the person at the terminal said no."""
    if run.count(Outcome.FAILED) or not (run.complete or declined):
        return FAILED
    return DIFFERENCES_REMAIN if run.unresolved else FINE
