"""POST indexer_webhook, through functions-framework, over a ledger and a contract in memory."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from werkzeug.test import Client, TestResponse

from shared.core.errors import ContractTimeout, ContractUnreachable, LedgerUnreachable, QueueError
from shared.http.indexer_events import USERS_MAX
from shared.http.webhook_signature import BODY_BYTES_MAX
from tests.fakes.fake_clock import FakeClock
from tests.fakes.fake_contract import FIRST_HEIGHT
from tests.fakes.fake_queue import FakeQueue
from tests.unit.serving import SECRET as SERVICE_KEY
from tests.unit.serving import served
from tests.unit.users import user
from tests.unit.webhooks import (
    DEPOSITED,
    NEXT_SECRET,
    SECRET,
    UNKNOWN,
    WebhookWorld,
    event,
    payload,
    post,
    signed,
)

SOURCE = Path(__file__).parents[2] / "functions" / "indexer_webhook.py"
FAR = FIRST_HEIGHT + 1_000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookWorld]:
    """Ten users who hold 10 in the ledger and 11 in the contract."""
    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", SECRET)
    users = [user(number) for number in range(10)]
    world = WebhookWorld(dict.fromkeys(users, 10), dict.fromkeys(users, 11))
    with served(monkeypatch, world):
        yield world


@pytest.fixture
def queue(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    """The same world with a queue: more than three users go there."""
    monkeypatch.setenv("RECONCILE_WEBHOOK_INLINE_USERS", "3")
    clock = FakeClock()
    queue = FakeQueue(clock)
    with_queue = WebhookWorld(queue=queue, clock=clock)
    world.named_reconciler = with_queue.named_reconciler
    world.webhooks = with_queue.webhooks
    return queue


@pytest.fixture
def client(world: WebhookWorld) -> Client:  # noqa: ARG001 (the environment must be there first)
    app = functions_framework.create_app("indexer_webhook", str(SOURCE))  # type: ignore[no-untyped-call]
    return Client(app)


def answer(response: TestResponse, status: int = 200) -> dict[str, Any]:
    text = response.get_data(as_text=True)
    assert response.status_code == status, text
    value: dict[str, Any] = json.loads(text)
    return value


def assert_problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    problem = answer(response, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (problem["status"], problem["code"]) == (status, code)
    assert SECRET not in str(problem)
    assert SERVICE_KEY not in str(problem)
    return problem


def assert_untouched(world: WebhookWorld) -> None:
    assert world.ledger.audit == []
    assert world.contract.calls == []
    assert world.webhooks.rows == {}


# -- what it does -----------------------------------------------------------------------------


def test_whom_an_event_names_is_corrected(world: WebhookWorld, client: Client) -> None:
    answered = answer(post(client, event(1)))
    (result,) = answered.pop("results")
    assert answered == {
        "events": 1,
        "ignored": 0,
        "blockHeight": FIRST_HEIGHT,
        "users": 1,
        "queued": 0,
    }
    assert (result["userAddress"], result["outcome"]) == (user(1), "corrected")
    assert (result["oldBalance"], result["newBalance"]) == ("0.00000010", "0.00000011")
    assert world.ledger.audit[0].transaction_hash == "reconciliation_by_indexer"
    assert world.balance(user(2)) == 10


def test_amounts_are_never_taken_from_the_message(world: WebhookWorld, client: Client) -> None:
    forged = json.loads(payload(1))
    forged["value"]["fields"][1]["value"]["value"] = "99999.00000000"
    answer(post(client, event(1, payload=forged, newBalance="99999.0")))
    assert world.balance(user(1)) == 11


def test_the_contract_is_read_at_the_height_of_the_latest_event(
    world: WebhookWorld, client: Client
) -> None:
    world.contract.seal(5)
    answered = answer(post(client, [event(1, FIRST_HEIGHT + 5), event(2, FIRST_HEIGHT)]))
    assert answered["blockHeight"] == FIRST_HEIGHT + 5
    assert {each["blockHeight"] for each in answered["results"]} == {FIRST_HEIGHT + 5}
    assert len(world.contract.calls) == 1


def test_a_user_is_named_once_however_many_events_name_him(client: Client) -> None:
    answered = answer(post(client, [event(1), event(1), event(2)]))
    assert (answered["events"], answered["users"], len(answered["results"])) == (3, 2, 2)


def test_events_of_other_types_are_counted_and_not_read(
    world: WebhookWorld, client: Client
) -> None:
    others = [event(3, type=UNKNOWN), event(3, None, type="flow.AccountCreated", payload=None)]
    answered = answer(post(client, [*others, event(1)]))
    assert (answered["events"], answered["ignored"], answered["users"]) == (3, 2, 1)
    assert world.balance(user(3)) == 10


def test_the_type_is_that_of_our_contract(client: Client) -> None:
    copied = DEPOSITED.replace("f8d6e0586b0a20c7", "0123456789abcdef")
    answered = answer(post(client, event(1, type=copied)))
    assert (answered["ignored"], answered["blockHeight"], answered["results"]) == (1, None, [])


@pytest.mark.parametrize("body", [[], {"events": []}, [{"block_height": "7", "events": []}]])
def test_a_message_about_nobody_is_fine(client: Client, body: Any) -> None:
    assert answer(post(client, body))["users"] == 0


# -- forms of a body --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        json.loads(payload(1)),
        payload(1).decode(),
        "\n " + payload(1).decode(),
        base64.b64encode(payload(1)).decode(),
        base64.b64encode(payload(1) + b"\n").decode(),
    ],
    ids=["object", "text", "text with space", "base64", "base64 with a newline"],
)
def test_a_payload_may_be_an_object_text_or_base64(
    world: WebhookWorld, client: Client, given: Any
) -> None:
    answer(post(client, event(1, payload=given)))
    assert world.balance(user(1)) == 11


@pytest.mark.parametrize(
    "body",
    [
        event(1),
        event(1, str(FIRST_HEIGHT)),
        event(1, None, blockHeight=FIRST_HEIGHT),
        [event(1)],
        {"events": [event(1)]},
        {"block_height": FIRST_HEIGHT, "events": [event(1, None)]},
        [{"block_id": "ab" * 32, "block_height": "100", "events": [event(1, None)]}],
        [{"block_height": "100", "events": []}, event(1)],
    ],
    ids=["one", "digits", "camel case", "list", "events", "block", "blocks", "mixed"],
)
def test_events_may_come_alone_in_a_list_or_in_blocks(
    world: WebhookWorld, client: Client, body: Any
) -> None:
    assert answer(post(client, body))["blockHeight"] == FIRST_HEIGHT
    assert world.balance(user(1)) == 11


def test_an_events_own_height_counts_before_that_of_its_block(
    world: WebhookWorld, client: Client
) -> None:
    world.contract.seal(2)
    block = {"block_height": FIRST_HEIGHT, "events": [event(1, FIRST_HEIGHT + 2)]}
    assert answer(post(client, block))["blockHeight"] == FIRST_HEIGHT + 2


_NOT_CADENCE: list[Any] = [
    None,
    7,
    [],
    True,
    "",
    "{",
    "%%%",
    "{}",
    base64.b64encode(b"{}").decode(),
    base64.b64encode(b"\xff\xfe").decode(),
    base64.b64encode(payload(1)).decode()[:-3],
    {},
    {"type": "Event", "value": None},
    payload(1, UNKNOWN).decode(),
    payload(1, field="player").decode(),
    payload(1).decode().replace(user(1), "0x1"),
    payload(1).decode().replace('"Address"', '"String"'),
    "[" * 100_000,
    '{"type":' * 100_000,
]


@pytest.mark.parametrize("given", _NOT_CADENCE, ids=range(len(_NOT_CADENCE)))
def test_a_payload_that_names_nobody_is_named(
    world: WebhookWorld, client: Client, given: Any
) -> None:
    body = {"events": [event(0), event(1, payload=given)]}
    problem = assert_problem(post(client, body), 422, "invalid_input")
    assert problem["errors"][0]["field"] == "events[1].payload"
    assert problem["detail"].startswith("events[1].payload ")
    assert_untouched(world)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (7, "The body"),
        ("text", "The body"),
        (None, "The body"),
        ({}, "type"),
        ({"type": DEPOSITED, "block_height": 7}, "payload"),
        ([event(1), 7], "[1]"),
        ([event(1), {"events": [None]}], "[1].events[0]"),
        ([{"events": None}], "[0].events"),
        ([{"events": {}}], "[0].events"),
        (event(1, type=7), "type"),
        (event(1, type=""), "type"),
        (event(1, None), "block_height"),
        ({"events": [event(1, None)]}, "events[0].block_height"),
        (event(1, -1), "block_height"),
        (event(1, 2**63), "block_height"),
        (event(1, True), "block_height"),
        (event(1, 1.0), "block_height"),
        (event(1, None, block_height="9" * 19), "block_height"),
        (event(1, None, block_height="١٢"), "block_height"),
        (event(1, None, block_height="7\n"), "block_height"),
        (event(1, None, block_height=[]), "block_height"),
        (event(1, None, blockHeight="x"), "block_height"),
        ([{"block_height": "x", "events": []}], "[0].block_height"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    world: WebhookWorld, client: Client, body: Any, field: str
) -> None:
    problem = assert_problem(post(client, body), 422, "invalid_input")
    assert problem["errors"][0]["field"] == field
    assert_untouched(world)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b'{"type": NaN}', b'{"type": "a", "type": "b"}', b"[" * 100_000],
)
def test_what_is_no_json_is_malformed(world: WebhookWorld, client: Client, body: bytes) -> None:
    assert_problem(post(client, body), 400, "malformed_body")
    assert_untouched(world)


def test_another_content_type_is_refused(client: Client) -> None:
    response = post(client, event(1), **{"Content-Type": "text/plain"})
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.usefixtures("queue")
def test_as_many_users_as_allowed_are_taken_and_one_more_is_not(client: Client) -> None:
    events = [event(number, payload=payload(number).decode()) for number in range(USERS_MAX + 1)]
    assert answer(post(client, events[1:]), 202)["users"] == USERS_MAX
    assert_problem(post(client, events, "msg_2"), 413, "too_many_users")


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    body = b" " * (BODY_BYTES_MAX + 1)
    assert_problem(post(client, body), 413, "body_too_large")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    assert_problem(client.open("/", method=method), 405, "method_not_allowed")


# -- signatures -------------------------------------------------------------------------------

_GOOD = signed(b"{}")["Webhook-Signature"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Webhook-Id": None},
        {"Webhook-Timestamp": None},
        {"Webhook-Signature": None},
        {"Webhook-Id": ""},
        {"Webhook-Id": "msg_2"},
        {"Webhook-Timestamp": "now"},
        {"Webhook-Timestamp": "1e9"},
        {"Webhook-Timestamp": "-1"},
        {"Webhook-Timestamp": "NaN"},
        {"Webhook-Timestamp": "9" * 11},
        {"Webhook-Timestamp": "9" * 400},
        {"Webhook-Timestamp": "\xb2"},
        {"Webhook-Signature": "v1"},
        {"Webhook-Signature": "v1,"},
        {"Webhook-Signature": "v1,not base64!"},
        {"Webhook-Signature": "v1,abc"},
        {"Webhook-Signature": "v1,\xe4\xf6"},
        {"Webhook-Signature": "v1,a,b"},
        {"Webhook-Signature": ","},
        {"Webhook-Signature": " "},
        {"Webhook-Signature": _GOOD},
        {"Webhook-Signature": "v1a," + _GOOD[3:]},
    ],
    ids=str,
)
def test_what_is_not_signed_by_us_is_unauthorized(
    world: WebhookWorld, client: Client, headers: dict[str, str | None]
) -> None:
    response = post(client, event(1), **headers)
    assert_problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("StandardWebhooks")
    assert_untouched(world)


def test_the_signature_is_over_the_raw_body(world: WebhookWorld, client: Client) -> None:
    body = json.dumps(event(1)).encode()
    response = client.post("/", data=body + b" ", headers=signed(body))
    assert_problem(response, 401, "unauthorized")
    assert_untouched(world)


def test_a_body_that_is_not_utf_8_is_signed_by_nobody(client: Client) -> None:
    response = client.post("/", data=b"\xff", headers=signed(b"{}"))
    assert_problem(response, 401, "unauthorized")


@pytest.mark.parametrize("age_s", [301, -302, 86_400])
def test_a_message_of_another_time_is_unauthorized(
    world: WebhookWorld, client: Client, age_s: float
) -> None:
    body = json.dumps(event(1)).encode()
    response = client.post("/", data=body, headers=signed(body, age_s=age_s))
    assert_problem(response, 401, "unauthorized")
    assert_untouched(world)


@pytest.mark.parametrize("age_s", [290, -290])
def test_clocks_may_differ_by_some_minutes(client: Client, age_s: float) -> None:
    body = json.dumps(event(1)).encode()
    answer(client.post("/", data=body, headers=signed(body, age_s=age_s)))


@pytest.mark.parametrize(("tolerance_s", "status"), [("5", 401), ("1000", 200)])
def test_how_much_is_a_setting(
    client: Client, monkeypatch: pytest.MonkeyPatch, tolerance_s: str, status: int
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("RECONCILE_WEBHOOK_TOLERANCE_S", tolerance_s)
    settings.cache_clear()
    body = json.dumps(event(1)).encode()
    answer(
        client.post("/", data=body, headers=signed(body, age_s=400 if status == 200 else 8)), status
    )


@pytest.mark.parametrize(
    ("secret", "status"), [(SECRET, 200), (NEXT_SECRET, 200), ("whsec_" + "A" * 40, 401)]
)
def test_while_a_secret_is_replaced_both_are_good(
    client: Client, monkeypatch: pytest.MonkeyPatch, secret: str, status: int
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", f"{NEXT_SECRET}, {SECRET}")
    settings.cache_clear()
    body = json.dumps(event(1)).encode()
    answer(client.post("/", data=body, headers=signed(body, secret=secret)), status)


def test_one_good_signature_among_others_is_enough(client: Client) -> None:
    body = json.dumps(event(1)).encode()
    headers = signed(body)
    other = signed(body, secret=NEXT_SECRET)["Webhook-Signature"]
    headers["Webhook-Signature"] = f"v2,xx {other} {headers['Webhook-Signature']}"
    answer(client.post("/", data=body, headers=headers))


def test_without_a_secret_nobody_is_served(
    world: WebhookWorld, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    monkeypatch.setenv("RECONCILE_WEBHOOK_SECRETS", "")
    settings.cache_clear()
    assert_problem(post(client, event(1)), 503, "not_configured")
    assert_untouched(world)


def test_no_admin_key_is_asked_for_and_none_helps(client: Client) -> None:
    from tests.unit.serving import KEY

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert_problem(client.post("/", data=b"{}", headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("message_id", ["with space", "x" * 201])
def test_an_id_that_cannot_be_kept_is_refused(client: Client, message_id: str) -> None:
    assert_problem(post(client, event(1), message_id), 400, "invalid_webhook_id")


# -- replays ----------------------------------------------------------------------------------


def test_a_replay_gets_the_first_answer_and_changes_nothing(
    world: WebhookWorld, client: Client
) -> None:
    first = post(client, event(1))
    world.ledger.put(user(1), 5)
    again = post(client, event(1))
    assert answer(again) == answer(first)
    assert again.headers["Webhook-Replayed"] == "true"
    assert "Webhook-Replayed" not in first.headers
    assert world.balance(user(1)) == 5
    assert len(world.contract.calls) == 1


def test_an_id_with_other_events_is_refused(world: WebhookWorld, client: Client) -> None:
    answer(post(client, event(1)))
    assert_problem(post(client, event(2)), 422, "webhook_id_reused")
    assert world.balance(user(2)) == 10


def test_a_message_that_is_being_worked_comes_again_later(
    world: WebhookWorld, client: Client
) -> None:
    answers: list[TestResponse] = []
    world.contract.before_script = lambda call: answers.append(post(client, event(1)))
    answer(post(client, event(1)))
    (meanwhile,) = answers
    problem = assert_problem(meanwhile, 409, "webhook_in_flight")
    assert problem["retryable"] is True
    assert 1 <= int(meanwhile.headers["Retry-After"]) <= 5


def test_a_message_that_could_not_be_worked_may_come_again_at_once(
    world: WebhookWorld, client: Client
) -> None:
    assert_problem(post(client, event(1, FAR)), 503, "contract_height_unavailable")
    world.contract.seal(1_000)
    answered = post(client, event(1, FAR))
    assert answer(answered)["results"][0]["outcome"] == "corrected"
    assert "Webhook-Replayed" not in answered.headers


def test_a_message_that_is_malformed_is_not_remembered(client: Client) -> None:
    assert_problem(post(client, {}), 422, "invalid_input")
    answer(post(client, event(1)))


def test_an_answer_that_cannot_be_stored_is_given_all_the_same(
    world: WebhookWorld, client: Client
) -> None:
    world.contract.before_script = lambda call: world.webhooks.break_down()
    answer(post(client, event(1)))
    assert world.balance(user(1)) == 11


def test_when_replays_cannot_be_told_nothing_is_done(world: WebhookWorld, client: Client) -> None:
    world.webhooks.break_down()
    response = post(client, event(1))
    assert_problem(response, 503, "ledger_unreachable")
    assert response.headers["Retry-After"]
    assert world.ledger.audit == []


# -- faults -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ContractUnreachable("down", remedy="Wait."),
        ContractTimeout("slow", remedy="Wait."),
        LedgerUnreachable("down", remedy="Wait."),
    ],
)
def test_whatever_may_pass_asks_for_the_message_again(
    world: WebhookWorld,
    client: Client,
    error: ContractUnreachable | ContractTimeout | LedgerUnreachable,
) -> None:
    if isinstance(error, LedgerUnreachable):
        world.ledger.fail_next(error, times=9)
    else:
        world.contract.fail_next_height(error, times=99)
    response = post(client, event(1))
    assert_problem(response, 503, error.code)
    assert int(response.headers["Retry-After"]) > 0
    assert world.webhooks.rows == {}


def test_a_failure_that_does_not_pass_is_an_outcome(world: WebhookWorld, client: Client) -> None:
    world.contract.panic_for([user(1)])
    results = answer(post(client, [event(1), event(2)]))["results"]
    assert {each["userAddress"]: each["errorCode"] for each in results} == {
        user(1): "contract_query_failed",
        user(2): None,
    }


def test_a_user_who_may_go_better_later_asks_for_all_again_and_the_others_stay_done(
    world: WebhookWorld, client: Client
) -> None:
    slow = ContractTimeout("slow", remedy="Wait.")
    world.contract.fail_when(lambda users: slow if user(1) in users else None)
    response = post(client, [event(1), event(2)])
    problem = assert_problem(response, 503, "users_unsettled")
    assert problem["detail"].startswith("1 of 2 users could not be reconciled (contract_timeout)")
    assert response.headers["Retry-After"]
    assert world.balance(user(2)) == 11


def test_what_nobody_foresaw_says_nothing_and_is_not_remembered(
    world: WebhookWorld, client: Client
) -> None:
    def explode(call: int) -> None:  # noqa: ARG001
        raise RuntimeError(SERVICE_KEY)

    world.contract.before_script = explode
    assert_problem(post(client, event(1)), 500, "internal_error")
    assert world.webhooks.rows == {}


# -- many users -------------------------------------------------------------------------------


def test_many_users_are_queued(world: WebhookWorld, client: Client, queue: FakeQueue) -> None:
    answered = answer(post(client, [event(number) for number in range(4)]), 202)
    assert (answered["users"], answered["queued"], answered["results"]) == (4, 1, [])
    (batch,) = queue.batches
    assert batch.user_addresses == tuple(user(number) for number in range(4))
    assert (batch.block_height, batch.admin_address) == (FIRST_HEIGHT, "indexer")
    assert world.contract.calls == []


def test_a_replay_of_what_was_queued_is_not_queued_again(client: Client, queue: FakeQueue) -> None:
    events = [event(number) for number in range(4)]
    assert answer(post(client, events), 202) == answer(post(client, events), 202)
    assert len(queue.batches) == 1


def test_few_users_are_reconciled_at_once_beside_the_queue(
    client: Client, queue: FakeQueue
) -> None:
    assert len(answer(post(client, [event(number) for number in range(3)]))["results"]) == 3
    assert queue.batches == []


def test_a_queue_that_is_down_asks_for_the_message_again(client: Client, queue: FakeQueue) -> None:
    queue.fail_next(QueueError("down", remedy="Wait."))
    events = [event(number) for number in range(4)]
    assert_problem(post(client, events), 503, "queue_error")
    answer(post(client, events), 202)


def test_without_a_queue_many_users_are_reconciled_at_once(
    world: WebhookWorld, client: Client
) -> None:
    events = [event(number, payload=payload(number).decode()) for number in range(1_500)]
    answered = answer(post(client, events))
    assert len(answered["results"]) == 1_500
    assert world.balance(user(9)) == 11


def test_without_a_queue_the_deadline_ends_it_and_who_is_done_stays_done(
    world: WebhookWorld, client: Client
) -> None:
    world.contract.before_script = lambda call: world.clock.advance(40)
    events = [event(number, payload=payload(number).decode()) for number in range(1_500)]
    response = post(client, events)
    problem = assert_problem(response, 503, "users_unsettled")
    assert problem["detail"].startswith("500 of 1500 users could not be reconciled (the time")
    assert response.headers["Retry-After"]
    assert world.balance(user(9)) == 11
