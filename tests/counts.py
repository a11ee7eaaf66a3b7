"""A run's counts as tests compare them."""

from shared.core.outcome import Outcome
from shared.core.run import Run


def counts(run: Run) -> dict[Outcome, int]:
    """How many users had which outcome; outcomes that nobody had are left out."""
    return {outcome: users for outcome, users in run.outcomes.items() if users}
