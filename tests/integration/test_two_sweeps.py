"""Two sweeps at once, as two processes of the command, on the real stack: one run, worked by both
or refused to the second, and nobody is corrected twice.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import pytest

from shared.bootstrap import services
from shared.core.run import RunState
from tests.conftest import LedgerTables, Setting, new_addresses

Give = Callable[[Mapping[str, int]], None]

CHUNK_USERS = 2
DRIFTED = 40
SETTLE_S = 12
"""Longer than a process takes to start on a busy machine."""
PROCESS_S_MAX = 90.0


@pytest.fixture
def truth(
    environment: Setting, ledger_rows: LedgerTables, contract_balances: Give
) -> dict[str, int]:
    """What the contract says about everyone; most of the ledger's rows differ from it."""
    environment(RECONCILE_BATCH_SIZE=str(CHUNK_USERS), RECONCILE_SETTLE_S=str(SETTLE_S))
    users = new_addresses(DRIFTED + 5)
    truth = {user: 1_000 + number for number, user in enumerate(users)}
    ledger_rows.insert(truth | dict.fromkeys(users[:DRIFTED], 7))
    contract_balances(truth)
    return truth


def reconcile(*arguments: str) -> "subprocess.Popen[str]":
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "shared.cli", "--all", "--yes", "--json", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_the_first_corrects() -> None:
    until_s = time.monotonic() + PROCESS_S_MAX
    while RunState.CORRECTING not in [run.state for run in services().runs.list()]:
        assert time.monotonic() < until_s
        time.sleep(0.2)


def test_a_second_sweep_is_refused_and_one_that_resumes_works_along(
    truth: dict[str, int], ledger_rows: LedgerTables
) -> None:
    with reconcile() as first:
        wait_until_the_first_corrects()
        with reconcile() as refused, reconcile("--resume") as along:
            refusal, _ = refused.communicate(timeout=PROCESS_S_MAX)
            swept_along, _ = along.communicate(timeout=PROCESS_S_MAX)
        swept, _ = first.communicate(timeout=PROCESS_S_MAX)

    assert refused.returncode == 2
    assert json.loads(refusal)["code"] == "run_active"
    assert (first.returncode, along.returncode) == (0, 0)
    summaries = [json.loads(text.splitlines()[-1]) for text in (swept, swept_along)]
    assert summaries[0] == summaries[1]
    assert len(services().runs.list()) == 1
    assert ledger_rows.balances() == truth
    audited = [row.user_address for row in ledger_rows.audit()]
    assert sorted(audited) == sorted(truth)[:DRIFTED]
