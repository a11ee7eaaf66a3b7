"""The header Idempotency-Key around a view, over idempotency keys in memory."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import flask
import pytest
from flask import Request, Response
from werkzeug.test import EnvironBuilder

from shared.core.access import Role
from shared.core.errors import LedgerUnreachable, RunActive, RunNotApplicable
from shared.http.actor import Actor
from shared.http.answers import json_response
from shared.http.idempotency import TTL_S, idempotent
from shared.http.json_body import json_value
from shared.http.problem import Problem
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_idempotency import FakeIdempotency
from tests.unit.serving import served

OPS = Actor("ops", Role.ADMIN, "key")
LEASE_S = 110.0


class View:
    """Counts its calls; answers with their number, or raises `error`, after `then`."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 200
        self.error: BaseException | None = None
        self.then: Callable[[], object] = lambda: None

    def __call__(self, request: Request, actor: Actor) -> Response:
        json_value(request)
        self.calls += 1
        self.then()
        if self.error is not None:
            raise self.error
        response = json_response({"call": self.calls})
        response.status_code = self.status
        return response


class World:
    """A view behind `idempotent`, and what is known of its requests."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.idempotency = FakeIdempotency(self.clock)
        self.view = View()

    def ask(
        self,
        key: str | None = "a key",
        body: Any = None,
        *,
        actor: Actor = OPS,
        data: bytes | None = None,
    ) -> Response:
        """The answer; a problem as the entry would render it."""
        headers = [] if key is None else [("Idempotency-Key", key)]
        builder = EnvironBuilder(
            method="POST",
            data=json.dumps({} if body is None else body) if data is None else data,
            content_type="application/json",
            headers=headers,
        )

        def write(request: Request, actor: Actor) -> Response:
            return self.view(request, actor)

        try:
            return idempotent(write)(flask.Request(builder.get_environ()), actor)
        except Problem as problem:
            return problem.response()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()
    with served(monkeypatch, world):
        yield world


def code(response: Response) -> str:
    return str(json.loads(response.get_data())["code"])


def test_without_a_key_every_request_is_carried_out(world: World) -> None:
    assert [world.ask(None).get_json() for _ in range(2)] == [{"call": 1}, {"call": 2}]
    assert world.idempotency.rows == {}


@pytest.mark.parametrize("status", [200, 202])
def test_the_same_request_gets_the_same_answer(world: World, status: int) -> None:
    world.view.status = status
    first = world.ask(body={"a": 1, "b": [True, "é"]})
    again = world.ask(body={"b": [True, "é"], "a": 1})
    assert world.view.calls == 1
    assert (again.status_code, again.get_data()) == (status, first.get_data())
    assert again.content_type == first.content_type == "application/json"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"


def test_another_body_is_refused(world: World) -> None:
    world.ask(body={"userAddress": "0x01"})
    refused = world.ask(body={"userAddress": "0x02"})
    assert (refused.status_code, code(refused)) == (422, "idempotency_key_reused")
    assert world.view.calls == 1


def test_another_key_or_caller_is_another_request(world: World) -> None:
    for key, actor in [
        ("a key", OPS),
        ("another", OPS),
        ("a key", Actor("ops", Role.ADMIN, "jwt")),
        ("a key", Actor("other", Role.ADMIN, "key")),
    ]:
        assert "Idempotency-Replayed" not in world.ask(key, actor=actor).headers
    assert world.view.calls == 4


def test_a_request_that_is_at_work_is_not_started_again(world: World) -> None:
    meanwhile: list[Response] = []
    world.view.then = lambda: meanwhile.append(world.ask())
    assert world.ask().get_json() == {"call": 1}
    (refused,) = meanwhile
    assert (refused.status_code, code(refused)) == (409, "idempotency_key_in_flight")
    assert refused.headers["Retry-After"] == "5"
    assert json.loads(refused.get_data())["retryable"] is True


@pytest.mark.parametrize(
    "error",
    [
        Problem(503, "ledger_unreachable", "Down.", retryable=True),
        Problem(502, "contract_bad_answer", "Odd."),
        Problem(409, "run_active", "Busy.", retryable=True),
        RunActive("Another run is active", remedy="Wait for it."),
        LedgerUnreachable("Supabase cannot be reached", remedy="Try again."),
        ZeroDivisionError(),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_what_may_go_better_another_time_is_not_kept(world: World, error: BaseException) -> None:
    world.view.error = error
    with suppress(type(error)):
        world.ask()
    world.view.error = None
    assert world.ask().get_json() == {"call": 2}


@pytest.mark.parametrize(
    "error",
    [
        Problem(422, "invalid_address", "No address."),
        RunNotApplicable("The run is over", remedy="Start another."),
    ],
    ids=repr,
)
def test_a_final_refusal_is_kept(world: World, error: Exception) -> None:
    world.view.error = error
    first, again = world.ask(), world.ask()
    assert 400 <= first.status_code < 500
    assert (again.status_code, again.get_data()) == (first.status_code, first.get_data())
    assert again.content_type == first.content_type == "application/problem+json"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert world.view.calls == 1


def test_the_key_of_a_request_that_broke_off_is_free_after_its_lease(world: World) -> None:
    world.view.error = ZeroDivisionError()
    world.view.then = world.idempotency.break_down  # so that it cannot be given back
    with pytest.raises(ZeroDivisionError):
        world.ask()
    world.view.error, world.view.then = None, lambda: None
    world.clock.advance(LEASE_S - 2.5)
    assert world.ask().headers["Retry-After"] == "3"
    world.clock.advance(2.5)
    assert world.ask().get_json() == {"call": 2}


def test_a_key_is_forgotten_after_its_time(world: World) -> None:
    world.ask(body={"a": 1})
    world.clock.advance(TTL_S - 1)
    assert code(world.ask(body={"a": 2})) == "idempotency_key_reused"
    world.clock.advance(1)
    assert world.ask(body={"a": 2}).get_json() == {"call": 2}


def test_without_the_database_nothing_is_carried_out(world: World) -> None:
    world.idempotency.break_down()
    with pytest.raises(LedgerUnreachable):
        world.ask()
    assert world.view.calls == 0


def test_an_answer_that_cannot_be_stored_is_given_all_the_same(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.view.then = world.idempotency.break_down
    with caplog.at_level(logging.WARNING):
        assert world.ask().get_json() == {"call": 1}
    assert "not stored" in caplog.text
    assert code(world.ask()) == "idempotency_key_in_flight"


@pytest.mark.parametrize("key", ["", " ", "k" * 201, "é", "a\tb", "\x7f"])
def test_a_key_that_is_none_is_refused(world: World, key: str) -> None:
    refused = world.ask(key)
    assert (refused.status_code, code(refused)) == (400, "invalid_idempotency_key")
    assert world.view.calls == 0
    assert world.idempotency.rows == {}


@pytest.mark.parametrize("key", ["k" * 200, "!", "a b", '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
def test_any_printable_ascii_is_a_key(world: World, key: str) -> None:
    assert world.ask(key).status_code == 200


def test_a_body_that_is_no_json_takes_no_key(world: World) -> None:
    assert code(world.ask(data=b"{")) == "malformed_body"
    assert world.idempotency.rows == {}
    assert world.ask(data=b"{}").get_json() == {"call": 1}


def test_a_body_that_is_nested_too_deeply_is_refused(world: World) -> None:
    # Near the interpreter's limit, which reading and hashing may reach at different depths.
    for depth in range(700, 1000):
        answer = world.ask(f"key {depth}", data=b"[" * depth + b"]" * depth)
        assert answer.status_code == 200 or code(answer) == "malformed_body"
