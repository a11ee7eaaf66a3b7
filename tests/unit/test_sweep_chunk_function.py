"""The function sweep_chunk: SQS's records over a queue worker on fakes."""

import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from functions.sweep_chunk import handler
from shared.core import queue_message
from shared.core.chunk_message import SCHEMA, encode
from shared.core.errors import ContractUnreachable, InvalidSettings, LedgerUnreachable
from shared.core.outcome import Outcome
from shared.core.run import ChunkRef, Phase, RunState
from shared.core.user_batch import UserBatch
from tests.lambda_context import Context
from tests.unit.serving import served
from tests.unit.test_queue_worker import newest, work
from tests.unit.test_tick import queue_of, tick, world_of
from tests.unit.users import user
from tests.unit.worlds import World

DOWN = ContractUnreachable("the node is down", remedy="Wait.")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Eight users in three chunks, each with its message; the first two users have drifted."""
    world = world_of(8, queued=True)
    tick(world)
    with served(monkeypatch, world):
        yield world


def record(message_id: str, body: str) -> dict[str, Any]:
    """A message as Lambda hands it on."""
    return {
        "messageId": message_id,
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1767323045000"},
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:chunks",
        "awsRegion": "us-east-1",
    }


def chunks(world: World) -> dict[str, str]:
    """The bodies of the messages that wait, by message id: m0, m1, …"""
    refs = queue_of(world).take().values()
    return {f"m{ref.chunk_no}": encode(ref) for ref in sorted(refs, key=lambda ref: ref.chunk_no)}


def invoke(bodies: dict[str, str], left_s: float = 60) -> list[str]:
    """The ids of the messages that have to come again."""
    records = [record(message_id, body) for message_id, body in bodies.items()]
    answer = handler({"Records": records}, Context(int(left_s * 1000)))
    assert list(answer) == ["batchItemFailures"]
    assert all(list(each) == ["itemIdentifier"] for each in answer["batchItemFailures"])
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def test_the_chunks_of_all_messages_are_worked(world: World) -> None:
    assert invoke(chunks(world)) == []
    assert (newest(world).state, newest(world).scan.done) == (RunState.CORRECTING, 3)
    assert invoke(chunks(world)) == []
    assert (newest(world).state, newest(world).count(Outcome.CORRECTED)) == (RunState.FINISHED, 2)


def test_a_message_that_comes_twice_does_nothing_the_second_time(world: World) -> None:
    bodies = chunks(world)
    invoke(bodies)
    scripts = len(world.contract.calls)
    assert invoke(bodies) == []
    assert len(world.contract.calls) == scripts


def test_two_messages_of_one_chunk_in_a_batch_are_worked_once(world: World) -> None:
    body = chunks(world)["m0"]
    assert invoke({"a": body, "b": body}) == []
    assert (newest(world).scan.done, len(world.contract.calls)) == (1, 1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        json.dumps({"schema": SCHEMA}),
        encode(ChunkRef(UUID(int=1), Phase.SCAN, 0)).replace(f'"schema": {SCHEMA}', '"schema": 2'),
        encode(ChunkRef(UUID(int=1), Phase.SCAN, 0)).replace("scan", "sweep"),
    ],
)
def test_a_message_that_names_no_chunk_is_reported_alone(
    world: World, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert invoke({"bad": body} | chunks(world)) == ["bad"]
    assert newest(world).scan.done == 3
    assert "Message bad failed with invalid_message: " in caplog.text


def test_a_batch_of_nothing_but_such_messages_is_reported_whole(world: World) -> None:
    assert invoke({"x": "x", "y": "y"}) == ["x", "y"]
    assert newest(world).scan.pending == 3


def test_a_message_of_an_unknown_run_is_dropped(world: World) -> None:
    stray = encode(ChunkRef(uuid4(), Phase.SCAN, 0))
    assert invoke({"stray": stray} | chunks(world)) == []
    assert newest(world).scan.done == 3


def test_a_chunk_that_cannot_be_worked_is_reported_alone_and_the_log_says_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.contract.fail_when(lambda users: DOWN if user(3) in users else None)
    with caplog.at_level(logging.ERROR):
        assert invoke(chunks(world)) == ["m1"]
    assert (newest(world).scan.done, newest(world).scan.pending) == (2, 1)
    assert "Message m1 failed with contract_unreachable: the node is down. Wait." in caplog.text
    assert "m0" not in caplog.text


def test_what_has_failed_is_worked_when_it_comes_again(world: World) -> None:
    world.contract.fail_when(lambda users: DOWN if user(0) in users else None)
    bodies = chunks(world)
    assert invoke(bodies) == ["m0"]
    world.contract.fail_when(lambda users: None)
    assert invoke({"m0": bodies["m0"]}) == []
    work(world)
    assert newest(world).count(Outcome.CORRECTED) == 2


def test_a_database_that_is_down_lets_all_messages_come_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    down = LedgerUnreachable("Supabase is down", remedy="Wait.")
    world.store.fail_next(down, 2, method="get_run")
    assert invoke(chunks(world)) == ["m0", "m1", "m2"]
    assert caplog.text.count("ledger_unreachable") == 3


def test_what_there_is_no_time_left_for_is_queued_anew(world: World) -> None:
    bodies = chunks(world)
    sent = len(queue_of(world).sent)
    assert invoke(bodies, left_s=0) == []
    assert len(queue_of(world).sent) == sent + 3
    assert (newest(world).scan.pending, world.contract.calls) == (3, [])


def test_the_time_left_is_that_of_the_invocation(world: World) -> None:
    world.contract.fail_when(lambda users: world.clock.advance(30))
    assert invoke(chunks(world), left_s=60) == []
    assert 0 < newest(world).scan.done < 3
    assert newest(world).scan.leased == 0


def test_without_a_queue_the_invocation_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(monkeypatch, world_of()), pytest.raises(InvalidSettings):
        invoke({"m": encode(ChunkRef(uuid4(), Phase.SCAN, 0))})


def users_message(*numbers: int) -> str:
    return queue_message.encode(
        UserBatch(
            user_addresses=tuple(user(number) for number in numbers),
            block_height=1,
            admin_address="indexer",
        )
    )


def test_users_that_a_message_names_are_reconciled(world: World) -> None:
    assert invoke({"users": users_message(0)} | chunks(world)) == []
    assert world.balance(user(0)) == 11
    assert [row.transaction_hash for row in world.ledger.audit] == ["reconciliation_by_indexer"]


def test_the_log_names_a_user_for_whom_no_retry_helps(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.contract.panic_for([user(5)])
    assert invoke({"users": users_message(0, 5)}) == []
    assert f"User {user(5)} failed: " in caplog.text


@pytest.mark.parametrize("kind", ["vault", None, 1])
def test_a_message_of_another_kind_is_reported_alone(world: World, kind: object) -> None:
    other = json.dumps(json.loads(users_message(0)) | {"kind": kind})
    assert invoke({"other": other} | chunks(world)) == ["other"]
    assert newest(world).scan.done == 3
