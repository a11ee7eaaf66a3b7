"""Two who store reports at once: a run's report is handed to one of them, and nobody waits."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.integration.sessions import Connection, one
from tools.pgtap import scratch_database

ONE, OTHER = UUID(int=1), UUID(int=2)
RUNS = (UUID(int=11), UUID(int=12))


@pytest.fixture
def url(database_url: str, template: str) -> Iterator[str]:
    """A database of its own for each race."""
    with scratch_database(database_url, template) as url:
        yield url


@pytest.fixture
def runs(observer: Connection) -> None:
    """Two runs that have ended, the second one later."""
    for place, run_id in enumerate(RUNS):
        observer.execute(
            "insert into reconciliation_runs (run_id, kind, state, dry_run, needs_approval,"
            " admin_address, policy, finished_at) values (%s, 'full', 'finished', false, false,"
            " 'ADMIN', '{}', now() + make_interval(secs => %s))",
            (run_id, place),
        )


@pytest.mark.usefixtures("runs")
def test_the_second_passes_over_what_the_first_has(first: Connection, second: Connection) -> None:
    assert _lease(first, ONE) == str(RUNS[1])
    assert _lease(second, OTHER) == str(RUNS[0])
    assert _lease(second, OTHER) is None
    first.commit()
    second.commit()
    assert _lease(second, OTHER) is None


@pytest.mark.usefixtures("runs")
def test_what_the_first_gives_up_is_the_seconds(first: Connection, second: Connection) -> None:
    assert _lease(first, ONE) == str(RUNS[1])
    first.rollback()
    assert _lease(second, OTHER) == str(RUNS[1])


def _lease(session: Connection, token: UUID) -> Any:
    (run,) = one(session, "select lease_unstored_report(%s, 60)", token)
    return None if run is None else run["run_id"]
