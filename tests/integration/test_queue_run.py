"""Runs through SQS, as on Lambda: sweep queues the chunks, sweep_chunk works them. Real stack."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from functions import sweep, sweep_chunk
from shared.bootstrap import services
from shared.core.chunk_message import decode
from shared.core.outcome import Outcome
from shared.core.run import ATTEMPTS_MAX, Phase, Run, RunKind, RunState
from tests.aws import SqsQueue
from tests.conftest import LedgerTables, Setting, new_addresses
from tests.counts import counts
from tests.lambda_context import Context
from tools.stack import Stack
from tools.stack.ports import free_ports

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

Give = Callable[[Mapping[str, int]], None]

CHUNK_USERS = 5
USERS = 28
DRIFTED = 12
SCANS = 6


@dataclass(frozen=True)
class Queued:
    """A drifted ledger, its truth in the contract, and the queue between the functions."""

    queue: SqsQueue
    tables: LedgerTables
    truth: dict[str, int]
    set_env: Setting

    @property
    def drifted(self) -> list[str]:
        return sorted(self.truth)[:DRIFTED]

    def tick(self, **asked: bool) -> dict[str, Any]:
        """What the schedule does."""
        return sweep.handler({"adminAddress": "CRON", **asked}, Context())

    def invoke(self, messages: list["MessageTypeDef"]) -> list["MessageTypeDef"]:
        """What Lambda does with messages that it has received; returns those that come again."""
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
        answer = sweep_chunk.handler({"Records": records}, Context())
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        done = [each for each in messages if each["MessageId"] not in failed]
        if done:
            self.queue.delete(done)
        return [each for each in messages if each["MessageId"] in failed]

    def repeat(self, messages: list["MessageTypeDef"]) -> None:
        """Have SQS deliver them once more, as it may."""
        for message in messages:
            self.queue.client.send_message(QueueUrl=self.queue.url, MessageBody=message["Body"])

    def work(self) -> None:
        """Invoke the worker until the queue is empty; what fails can be received again at once."""
        while True:
            delayed = self.queue.delayed()
            messages = self.queue.take()
            if messages:
                for message in self.invoke(messages):
                    self.queue.hand_back(message)
            elif delayed:
                time.sleep(0.1)
            else:
                return

    def newest(self) -> Run:
        return services().runs.list(limit=1)[0]

    def assert_reconciled(self) -> None:
        """Everyone who had drifted was corrected once, and the run knows it."""
        run = self.newest()
        assert run.state is RunState.FINISHED
        assert counts(run) == {Outcome.IN_SYNC: USERS - DRIFTED, Outcome.CORRECTED: DRIFTED}
        assert (run.scan.done, run.scan.failed) == (SCANS, 0)
        assert self.tables.balances() == self.truth
        self.assert_audited(self.drifted)

    def assert_audited(self, users: list[str]) -> None:
        """These users have one audit row each, and nobody else has one."""
        audit = self.tables.audit()
        assert sorted(row.user_address for row in audit) == sorted(users)
        assert {row.transaction_hash for row in audit} == {"reconciliation_by_CRON"}


@pytest.fixture
def queued(
    sqs: SqsQueue, environment: Setting, ledger_rows: LedgerTables, contract_balances: Give
) -> Queued:
    environment(RECONCILE_BATCH_SIZE=str(CHUNK_USERS), RECONCILE_QUEUE_URL=sqs.url)
    users = new_addresses(USERS)
    truth = {user: 1_000 + number for number, user in enumerate(users)}
    ledger_rows.insert(truth | dict.fromkeys(users[:DRIFTED], 7))
    contract_balances(truth)
    return Queued(sqs, ledger_rows, truth, environment)


def test_a_run_goes_from_the_schedule_through_the_queue_to_its_end(queued: Queued) -> None:
    queued.set_env(RECONCILE_SETTLE_S="1")
    planned = queued.tick()
    assert (planned["run"]["state"], planned["queued"]) == ("scanning", SCANS)
    assert queued.tables.audit() == []

    queued.work()

    queued.assert_reconciled()
    assert queued.newest().correct.done == 3
    assert queued.queue.drain(queued.queue.dead_letter_url) == []
    again = queued.tick()
    queued.work()
    assert again["run"]["runId"] != planned["run"]["runId"]
    queued.assert_audited(queued.drifted)


def test_a_dry_run_goes_through_the_queue_and_writes_nothing(queued: Queued) -> None:
    ledger = queued.tables.balances()
    queued.tick(dryRun=True)

    queued.work()

    run = queued.newest()
    assert (run.state, run.dry_run) == (RunState.FINISHED, True)
    assert counts(run) == {Outcome.IN_SYNC: USERS - DRIFTED, Outcome.WOULD_CORRECT: DRIFTED}
    assert queued.tables.balances() == ledger
    assert queued.tables.audit() == []


def test_an_incremental_run_looks_at_those_whom_events_name(
    queued: Queued, contract_balances: Give, contract_address: str
) -> None:
    # The contract's own account gives, so events name it too, and may hold something of its own.
    contract_balances({contract_address: 1})
    queued.set_env(RECONCILE_ROTATE_CHUNKS="0")
    queued.tick()
    queued.work()
    moved = sorted(queued.truth)[-7:]
    contract_balances(dict.fromkeys(moved, 1))

    queued.tick(incremental=True)
    queued.work()

    run = queued.newest()
    assert (run.kind, run.fallback_reason) == (RunKind.INCREMENTAL, None)
    corrected = sorted([*moved, contract_address])
    assert (run.state, run.count(Outcome.CORRECTED)) == (RunState.FINISHED, len(corrected))
    assert run.users < USERS
    assert [each.user_address for each in services().runs.show(run.run_id)] == corrected
    queued.assert_audited([*queued.drifted, *corrected])


def test_messages_that_come_twice_or_too_late_change_nothing(queued: Queued) -> None:
    queued.tick()
    scans = queued.queue.take()
    queued.repeat(scans[:3])
    assert queued.invoke([*scans, *queued.queue.take()]) == []
    corrections = queued.queue.take()
    assert {decode(each["Body"]).phase for each in corrections} == {Phase.CORRECT}
    queued.repeat([*scans, *corrections])
    queued.work()
    assert queued.invoke(corrections) == []
    queued.assert_reconciled()
    queued.repeat([*scans, *corrections])
    queued.work()
    queued.assert_reconciled()


def test_of_a_batch_only_what_failed_comes_again(queued: Queued) -> None:
    queued.tick()
    messages = queued.queue.take()
    # A message of another version in the midst of them.
    foreign = dict(messages[2]) | {
        "Body": messages[2]["Body"].replace('"schema": 1', '"schema": 2')
    }
    batch: Any = [*messages[:2], foreign, *messages[3:]]

    failed = queued.invoke(batch)

    assert [each["MessageId"] for each in failed] == [messages[2]["MessageId"]]
    run = queued.newest()
    assert (run.state, run.scan.done, run.scan.pending) == (RunState.SCANNING, SCANS - 1, 1)
    assert queued.invoke([messages[2]]) == []
    queued.work()
    queued.assert_reconciled()


def test_two_workers_share_a_run(queued: Queued) -> None:
    queued.set_env(RECONCILE_BATCH_SIZE="1")
    planned = queued.tick()
    assert planned["queued"] == USERS + 1  # the last range is open, for those who come later

    with ThreadPoolExecutor(2) as pool:
        for worker in [pool.submit(queued.work) for _ in range(2)]:
            worker.result(timeout=60)
    queued.work()

    run = queued.newest()
    assert (run.state, run.correct.done) == (RunState.FINISHED, DRIFTED)
    assert counts(run) == {Outcome.IN_SYNC: USERS - DRIFTED, Outcome.CORRECTED: DRIFTED}
    assert queued.tables.balances() == queued.truth
    queued.assert_audited(queued.drifted)


def test_a_chunk_that_always_fails_goes_to_the_dead_letter_queue_and_the_others_are_corrected(
    queued: Queued, stack: Stack
) -> None:
    queued.tick()
    poison, *others = queued.queue.take()
    assert queued.invoke(others) == []

    queued.set_env(FLOW_ACCESS_NODE=f"127.0.0.1:{free_ports(1)[0]}")
    for receives in range(1, ATTEMPTS_MAX + 1):
        assert poison["Attributes"]["ApproximateReceiveCount"] == str(receives)
        assert queued.invoke([poison]) == [poison]
        queued.queue.hand_back(poison)
        if receives < ATTEMPTS_MAX:
            (poison,) = queued.queue.take()
    corrections = queued.queue.take()
    queued.set_env(FLOW_ACCESS_NODE=stack.env["FLOW_ACCESS_NODE"])

    assert queued.queue.drain(queued.queue.dead_letter_url) == [poison["Body"]]
    assert {decode(each["Body"]).phase for each in corrections} == {Phase.CORRECT}
    assert queued.invoke(corrections) == []
    run = queued.newest()
    assert (run.state, run.scan.failed, run.unread) == (RunState.FINISHED, 1, CHUNK_USERS)
    assert run.users == sum(run.outcomes.values()) == USERS
    failed = [each for each in services().runs.show(run.run_id) if not each.success]
    assert [each.user_address for each in failed] == queued.drifted[:CHUNK_USERS]
    assert {each.error_code for each in failed} == {"contract_unreachable"}
    queued.assert_audited(queued.drifted[CHUNK_USERS:])

    queued.tick()
    queued.work()
    queued.assert_audited(queued.drifted)


def test_a_chunk_whose_workers_all_die_is_given_up_by_a_tick_which_goes_on(queued: Queued) -> None:
    run_id = queued.tick()["run"]["runId"]
    poison, *others = queued.queue.take()
    for _ in range(ATTEMPTS_MAX):
        queued.tables.run(f"select lease_reconciliation_chunks('{run_id}', 0, 1, 5, 'scan', 0)")
    assert queued.invoke(others) == []
    assert queued.newest().state is RunState.SCANNING

    assert queued.tick()["run"]["state"] == "correcting"
    queued.work()

    run = queued.newest()
    assert (run.state, run.scan.failed, run.count(Outcome.FAILED)) == (RunState.FINISHED, 1, 5)
    failed = [each for each in services().runs.show(run.run_id) if not each.success]
    assert {each.error_code for each in failed} == {"chunk_gave_up"}
    queued.assert_audited(queued.drifted[CHUNK_USERS:])
    assert queued.invoke([poison]) == []
