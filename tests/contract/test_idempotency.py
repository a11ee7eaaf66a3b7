"""One suite for everything that implements the port Idempotency."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from shared.adapters.supabase_idempotency import SupabaseIdempotency
from shared.adapters.supabase_ledger import connect
from shared.core.keyed_request import Begun, KeyedRequest, RequestState
from shared.ports.requests import Idempotency
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_idempotency import FakeIdempotency
from tools.stack import Stack


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def wait(clock: FakeClock) -> Callable[[float], None]:
    """Lets time go by, for the fake and for the database."""

    def both(duration_s: float) -> None:
        clock.sleep(duration_s)
        time.sleep(duration_s)

    return both


@pytest.fixture(params=["fake", "supabase"])
def requests(request: pytest.FixtureRequest, clock: FakeClock) -> Iterator[Idempotency]:
    if request.param == "fake":
        yield FakeIdempotency(clock)
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    yield SupabaseIdempotency(client)
    session = client.options.httpx_client
    assert session is not None
    session.close()


def keyed(**changes: str) -> KeyedRequest:
    """The same request by another attempt, with some of it changed."""
    first = KeyedRequest(function="f", actor="a", key="k", payload_hash="h", token=uuid4())
    return replace(first, **changes)  # type: ignore[arg-type]


def begin(requests: Idempotency, request: KeyedRequest) -> Begun:
    return requests.begin(request, ttl_s=3600, lease_s=60)


def test_the_first_carries_it_out_and_may_ask_again(requests: Idempotency) -> None:
    first = keyed()
    assert begin(requests, first) == Begun(state=RequestState.NEW)
    assert begin(requests, first) == Begun(state=RequestState.NEW)


def test_another_attempt_waits_for_the_lease(requests: Idempotency) -> None:
    begin(requests, keyed())
    second = begin(requests, keyed())
    assert second.state is RequestState.IN_FLIGHT
    assert 50 < second.wait_s <= 60


def test_another_attempt_gets_the_answer(requests: Idempotency) -> None:
    first = keyed()
    begin(requests, first)
    assert requests.finish(first, status=202, body='{"é": "\\u0000"}')
    assert requests.finish(first, status=202, body='{"é": "\\u0000"}')
    done = Begun(state=RequestState.DONE, status=202, body='{"é": "\\u0000"}')
    assert begin(requests, keyed()) == done
    requests.abandon(first)
    assert begin(requests, first) == done


@pytest.mark.parametrize("is_done", [False, True])
def test_another_payload_does_not_fit(requests: Idempotency, is_done: bool) -> None:
    first = keyed()
    begin(requests, first)
    if is_done:
        requests.finish(first, status=200, body="{}")
    assert begin(requests, keyed(payload_hash="i")) == Begun(state=RequestState.MISMATCH)


@pytest.mark.parametrize("part", ["function", "actor", "key"])
def test_another_function_actor_or_key_is_another_request(requests: Idempotency, part: str) -> None:
    begin(requests, keyed())
    assert begin(requests, keyed(**{part: "other"})).state is RequestState.NEW


def test_what_is_given_back_may_be_tried_again(requests: Idempotency) -> None:
    first = keyed()
    begin(requests, first)
    requests.abandon(first)
    assert begin(requests, keyed(payload_hash="i")).state is RequestState.NEW


def test_only_the_attempt_that_holds_it_answers_or_gives_back(requests: Idempotency) -> None:
    first, other = keyed(), keyed()
    begin(requests, first)
    assert not requests.finish(other, status=200, body="{}")
    requests.abandon(other)
    assert begin(requests, keyed()).state is RequestState.IN_FLIGHT


def test_a_lease_that_is_over_is_taken_over(
    requests: Idempotency, wait: Callable[[float], None]
) -> None:
    lost, next_one = keyed(), keyed()
    requests.begin(lost, ttl_s=3600, lease_s=0.01)
    wait(0.02)
    assert begin(requests, next_one).state is RequestState.NEW
    assert not requests.finish(lost, status=200, body="lost")
    requests.abandon(lost)
    assert requests.finish(next_one, status=200, body="next")


def test_an_expired_key_is_free_for_any_payload(
    requests: Idempotency, wait: Callable[[float], None]
) -> None:
    first = keyed()
    requests.begin(first, ttl_s=0.01, lease_s=0.01)
    requests.finish(first, status=200, body="{}")
    wait(0.02)
    assert begin(requests, keyed(payload_hash="i")).state is RequestState.NEW
