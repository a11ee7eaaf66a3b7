"""The webhook's messages in the database: the port Idempotency, by the procedures of 013."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.supabase_ledger import connect
from shared.adapters.supabase_webhooks import SupabaseWebhooks
from shared.core.keyed_request import Begun, KeyedRequest, RequestState
from shared.ports.requests import Idempotency
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_idempotency import FakeIdempotency

ANSWER = '{"é": "\\u0000"}\n'


@pytest.fixture(params=["fake", "supabase"])
def messages(request: pytest.FixtureRequest) -> Iterator[Idempotency]:
    if request.param == "fake":
        yield FakeIdempotency(FakeClock())
        return
    env = request.getfixturevalue("stack").env
    request.getfixturevalue("clean_ledger")
    client = connect(
        url=env["SUPABASE_URL"],
        service_role_key=env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=env.get("SUPABASE_REST_URL"),
        timeout_s=10,
    )
    yield SupabaseWebhooks(client)
    client.postgrest.session.close()


def message(**changes: str) -> KeyedRequest:
    """The same message, given to another worker, with some of it changed."""
    first = KeyedRequest(
        function="indexer_webhook", actor="indexer", key="msg", payload_hash="h", token=uuid4()
    )
    return replace(first, **changes)  # type: ignore[arg-type]


def begin(messages: Idempotency, request: KeyedRequest) -> Begun:
    return messages.begin(request, ttl_s=3600, lease_s=60)


def test_the_first_works_it_and_may_ask_again(messages: Idempotency) -> None:
    first = message()
    assert begin(messages, first) == begin(messages, first) == Begun(state=RequestState.NEW)


def test_another_one_waits_for_the_lease(messages: Idempotency) -> None:
    begin(messages, message())
    second = begin(messages, message())
    assert second.state is RequestState.IN_FLIGHT
    assert 50 < second.wait_s <= 60


def test_a_replay_gets_the_answer(messages: Idempotency) -> None:
    first = message()
    begin(messages, first)
    assert messages.finish(first, status=202, body=ANSWER)
    assert messages.finish(first, status=202, body=ANSWER)
    done = Begun(state=RequestState.DONE, status=202, body=ANSWER)
    assert begin(messages, message()) == done
    messages.abandon(first)
    assert begin(messages, first) == done


def test_other_events_under_the_same_id_are_told_apart(messages: Idempotency) -> None:
    first = message()
    begin(messages, first)
    assert begin(messages, message(payload_hash="other")).state is RequestState.MISMATCH
    messages.finish(first, status=200, body=ANSWER)
    assert begin(messages, message(payload_hash="other")).state is RequestState.MISMATCH
    assert begin(messages, message(key="other")).state is RequestState.NEW


def test_what_was_given_back_may_come_again(messages: Idempotency) -> None:
    first = message()
    begin(messages, first)
    messages.abandon(message())
    assert begin(messages, message()).state is RequestState.IN_FLIGHT
    messages.abandon(first)
    messages.abandon(first)
    assert begin(messages, message(payload_hash="other")).state is RequestState.NEW
    assert not messages.finish(first, status=200, body=ANSWER)


def test_of_many_at_once_one_works_it(messages: Idempotency) -> None:
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda _: begin(messages, message()), range(24)))
    states = [each.state for each in begun]
    assert states.count(RequestState.NEW) == 1
    assert states.count(RequestState.IN_FLIGHT) == 23
