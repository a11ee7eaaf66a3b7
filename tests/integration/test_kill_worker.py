"""A worker is killed (kill -9) at every step of a chunk: who comes next brings the run to its end,
and every user is corrected once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from shared.bootstrap import services
from shared.core.outcome import Outcome
from shared.core.run import Run, RunState
from shared.services.plan_run import RunRequest
from shared.services.tick import PLANNING_S_MAX, Tick
from tests.conftest import LedgerTables, Setting, new_addresses
from tests.counts import counts
from tools.stack import Stack

Give = Callable[[Mapping[str, int]], None]
Kill = Callable[[str, str, str, int], None]

WORKERS = Path(__file__).with_name("killed_worker.py")
CHUNK_USERS = 10
USERS = 55
DRIFTED = 50
SCANS = 6
SETTINGS = {
    "RECONCILE_BATCH_SIZE": str(CHUNK_USERS),
    "RECONCILE_LEASE_S": "1",
    "RECONCILE_SETTLE_S": "0",
}
CRON = RunRequest(admin_address="CRON")


@pytest.fixture(scope="module")
def kill_worker(stack: Stack) -> Iterator[Kill]:
    """Lets another process work, and die at a call: (use case, call, moment, number)."""
    with subprocess.Popen(
        [sys.executable, str(WORKERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | stack.env | SETTINGS,
    ) as workers:
        orders, answers = workers.stdin, workers.stdout
        assert orders is not None
        assert answers is not None

        def kill(use_case: str, call: str, moment: str, number: int) -> None:
            print(use_case, call, moment, number, file=orders, flush=True)
            assert int(answers.readline()) == signal.SIGKILL

        yield kill
        workers.kill()


@pytest.fixture
def truth(
    environment: Setting, ledger_rows: LedgerTables, contract_balances: Give
) -> dict[str, int]:
    """What the contract says about everyone; most of the ledger's rows differ from it."""
    environment(**SETTINGS)
    users = new_addresses(USERS)
    truth = {user: 1_000 + number for number, user in enumerate(users)}
    ledger_rows.insert(truth | dict.fromkeys(users[:DRIFTED], 7))
    contract_balances(truth)
    return truth


def tick(*, stop: bool = False) -> Tick:
    return services().ticker.tick(CRON, incremental=False, should_stop=lambda: stop)


def assert_reconciled(run: Run, truth: dict[str, int], tables: LedgerTables) -> None:
    """Everyone who had drifted was corrected once, and the run knows it."""
    drifted = sorted(truth)[:DRIFTED]
    assert run.state is RunState.FINISHED
    assert counts(run) == {Outcome.IN_SYNC: USERS - DRIFTED, Outcome.CORRECTED: DRIFTED}
    assert (run.users, run.scan.done, run.scan.failed) == (USERS, SCANS, 0)
    assert tables.balances() == truth
    audit = tables.audit()
    assert sorted(row.user_address for row in audit) == drifted
    assert sum(row.amount for row in audit) == run.surplus + run.deficit
    results = services().runs.show(run.run_id)
    assert [each.user_address for each in results] == drifted
    assert len({each.audit_id for each in results}) == DRIFTED


@pytest.mark.parametrize(
    ("call", "first", "second"),
    [
        pytest.param("lease_reconciliation_chunks", 2, 2, id="lease"),
        pytest.param("list_user_balances", 2, 2, id="ledger page"),
        pytest.param("script", 2, 2, id="script"),
        pytest.param("close_reconciliation_scan", 2, 2, id="close scan"),
        pytest.param("decide_reconciliation_run", 1, 1, id="review"),
        pytest.param("list_reconciliation_candidates", 2, 2, id="candidates"),
        pytest.param("get_user_balances", 2, 2, id="second look"),
        pytest.param("script", SCANS + 2, 2, id="second script"),
        pytest.param("reconcile_user_balances", 2, 2, id="write"),
        pytest.param("close_reconciliation_correction", 2, 2, id="close correction"),
    ],
)
def test_a_killed_workers_run_goes_on(
    call: str,
    first: int,
    second: int,
    truth: dict[str, int],
    ledger_rows: LedgerTables,
    kill_worker: Kill,
) -> None:
    planned = tick(stop=True).run
    assert (planned.state, planned.scan.pending) == (RunState.SCANNING, SCANS)

    kill_worker("resume", call, "before", first)
    kill_worker("resume", call, "after", second)
    run = services().sweeper.resume().summary

    assert run.run_id == planned.run_id
    assert_reconciled(run, truth, ledger_rows)


def test_a_write_that_goes_on_without_the_killed_worker_counts(
    truth: dict[str, int], ledger_rows: LedgerTables, kill_worker: Kill
) -> None:
    tick(stop=True)
    with psycopg.connect(ledger_rows.url) as connection:
        connection.execute("select from public.user_balances for update")
        kill_worker("resume", "reconcile_user_balances", "during", 1)
        assert ledger_rows.audit() == []
    # The database has what it waited for, and nobody to answer to.

    assert_reconciled(services().sweeper.resume().summary, truth, ledger_rows)


def test_a_killed_planners_run_is_given_up_for_another_which_is_planned_or_not(
    truth: dict[str, int], ledger_rows: LedgerTables, kill_worker: Kill
) -> None:
    kill_worker("tick", "plan_reconciliation_chunks", "before", 1)
    dead = tick()
    assert (dead.run.state, dead.resumed) == (RunState.PLANNING, True)
    ledger_rows.run(
        "update public.reconciliation_runs set started_at = started_at"
        f" - interval '{PLANNING_S_MAX} s'"
    )

    kill_worker("tick", "plan_reconciliation_chunks", "after", 1)
    done = tick()

    assert services().runs.show(dead.run.run_id).summary.state is RunState.CANCELLED
    assert (done.run.run_id == dead.run.run_id, done.resumed) == (False, True)
    assert_reconciled(done.run, truth, ledger_rows)
