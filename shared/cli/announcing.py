"""After a sweep: people are told of the run that has ended, whatever became of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.cli.services import Announcing
from shared.core.errors import ReconcileError


@contextmanager
def announcing(announcer: Announcing) -> Iterator[None]:
    """Announce the run at the end, also of one that failed; somebody who quits need not wait."""
    try:
        yield
    except ReconcileError:
        announcer.announce_quietly()
        raise
    announcer.announce_quietly()
