"""From an event on chain to a corrected ledger: emulator, indexer, webhook, queue. Real stack."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import functions_framework
import httpx
import pytest
from standardwebhooks import Webhook
from werkzeug.serving import make_server

from functions import sweep_chunk
from shared.settings import settings
from tests.aws import SqsQueue
from tests.conftest import LedgerTables, Setting, new_address, new_addresses
from tests.fakes.fake_access_node import event_payload
from tests.integration.test_cadence_contract import FLOW, Game
from tests.lambda_context import Context
from tools.chain import Chain
from tools.indexer import Bookmark, EventChain, Indexer, WebhookSender
from tools.stack import Stack

Give = Callable[[Mapping[str, int]], None]

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests' indexer").decode()
SOON_S = 20.0


@dataclass(frozen=True)
class Served:
    """The webhook at a port of this machine, with the real ledger and contract behind it."""

    url: str
    tables: LedgerTables
    set_env: Setting

    def post(
        self, value: Any, message_id: str = "msg_1", *, timeout_s: float = 60
    ) -> httpx.Response:
        """Send a message as the standard says."""
        body, now = json.dumps(value), datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": str(int(now.timestamp())),
            "Webhook-Signature": Webhook(SECRET).sign(message_id, now, body),
        }
        return httpx.post(self.url, content=body.encode(), headers=headers, timeout=timeout_s)

    @contextmanager
    def followed(self, bookmark: Path, from_height: int) -> Iterator[list[str]]:
        """Lets an indexer run; yields what it tells."""
        told: list[str] = []
        stop = threading.Event()
        sender = WebhookSender(self.url, SECRET, tell=told.append)
        with EventChain(settings()) as chain:
            indexer = Indexer(chain, sender, Bookmark(bookmark), poll_s=0.1, tell=told.append)
            thread = threading.Thread(target=indexer.run, args=(stop, from_height))
            thread.start()
            try:
                yield told
            finally:
                stop.set()
                thread.join()
                sender.close()

    def audit_users(self) -> list[str]:
        return sorted(row.user_address for row in self.tables.audit())


@pytest.fixture
def served(environment: Setting, ledger_rows: LedgerTables) -> Iterator[Served]:
    environment(RECONCILE_WEBHOOK_SECRETS=SECRET)
    source = str(ROOT / "functions" / "indexer_webhook.py")
    app = functions_framework.create_app("indexer_webhook", source)  # type: ignore[no-untyped-call]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Served(f"http://127.0.0.1:{server.server_port}/", ledger_rows, environment)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def game(chain: Chain, contract_address: str) -> Game:
    return Game(chain, contract_address)


def until(holds: Callable[[], bool]) -> None:
    """Wait until it does."""
    give_up_s = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def event_of(user: str, height: int, contract_address: str) -> dict[str, Any]:
    kind = f"A.{contract_address[2:]}.OverflowGame.Deposited"
    payload = event_payload(kind, {"userAddress": ("Address", user)})
    return {"type": kind, "block_height": height, "payload": payload.decode()}


def test_what_happens_on_chain_reaches_the_ledger(
    served: Served, game: Game, tmp_path: Path
) -> None:
    loser, winner, outsider = new_addresses(3)
    served.tables.insert({loser: 1, outsider: 7})
    height = game.chain.latest_height()
    with served.followed(tmp_path / "bookmark.json", height + 1) as told:
        game.deposit(loser, 5 * FLOW)
        until(lambda: served.tables.balances() == {loser: 5 * FLOW, outsider: 7})
        game.settle({loser: 2 * FLOW}, {winner: 2 * FLOW})
        expected = {loser: 3 * FLOW, winner: 2 * FLOW, outsider: 7}
        until(lambda: served.tables.balances() == expected)
    assert {row.transaction_hash for row in served.tables.audit()} == {"reconciliation_by_indexer"}
    assert not [line for line in told if "not taken" in line]
    assert Bookmark(tmp_path / "bookmark.json").read() == game.chain.latest_height()


def test_the_command_follows_and_ends_when_it_is_told_to(
    served: Served, game: Game, tmp_path: Path
) -> None:
    user, height = new_address(), game.chain.latest_height()
    game.deposit(user, FLOW)
    state = tmp_path / "state.json"
    command = [sys.executable, "-u", "-m", "tools.indexer", "--url", served.url]
    options = ["--state", str(state), "--from-height", str(height + 1), "--poll-s", "0.1"]
    with subprocess.Popen(
        [*command, *options], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True
    ) as process:
        until(lambda: served.tables.balances() == {user: FLOW})
        until(state.exists)
        process.terminate()
        output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "1 events, 1 corrected" in output


def test_the_answer_of_the_access_api_is_taken_as_it_is(
    served: Served, game: Game, stack: Stack, contract_address: str
) -> None:
    user = new_address()
    first = game.chain.latest_height() + 1
    game.deposit(user, 3 * FLOW)
    blocks = httpx.get(
        f"{stack.emulator.rest_url}/v1/events",
        params={
            "type": f"A.{contract_address[2:]}.OverflowGame.Deposited",
            "start_height": first,
            "end_height": game.chain.latest_height(),
        },
    ).json()
    assert blocks

    answered = served.post(blocks)

    assert answered.status_code == 200, answered.text
    assert served.tables.balances() == {user: 3 * FLOW}
    assert answered.json()["events"] == 1


def test_a_replay_changes_nothing(served: Served, game: Game, contract_address: str) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    event = event_of(user, game.chain.latest_height(), contract_address)
    first = served.post(event)
    served.tables.run(f"update public.user_balances set balance = 9 where user_address = '{user}'")

    again = served.post(event)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json()
    assert again.headers["Webhook-Replayed"] == "true"
    assert served.tables.balances() == {user: 9 * FLOW}
    assert served.audit_users() == [user]


def test_an_event_without_a_change_leaves_no_audit_row(
    served: Served, game: Game, contract_address: str
) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    served.tables.insert({user: FLOW})

    answered = served.post(event_of(user, game.chain.latest_height(), contract_address))

    assert [each["outcome"] for each in answered.json()["results"]] == ["in_sync"]
    assert served.tables.audit() == []


def test_a_block_that_is_not_sealed_yet_is_waited_for(
    served: Served, game: Game, contract_address: str
) -> None:
    user = new_address()
    event = event_of(user, game.chain.latest_height() + 1, contract_address)
    sealing = threading.Timer(1, lambda: game.deposit(user, FLOW))
    sealing.start()
    answered = served.post(event)
    sealing.join()
    assert answered.status_code == 200, answered.text
    assert served.tables.balances() == {user: FLOW}


def test_a_block_that_is_far_away_asks_for_the_message_again(
    served: Served, game: Game, contract_address: str
) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    far = event_of(user, game.chain.latest_height() + 1_000, contract_address)

    began_s = time.monotonic()
    answered = served.post(far)

    assert (answered.status_code, answered.json()["code"]) == (503, "contract_height_unavailable")
    assert int(answered.headers["Retry-After"]) > 0
    assert time.monotonic() - began_s < 12
    assert served.tables.balances() == {}


def test_a_node_that_is_paused_asks_for_the_message_again_and_then_it_is_worked(
    served: Served, game: Game, stack: Stack, contract_address: str
) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    event = event_of(user, game.chain.latest_height(), contract_address)
    served.set_env(FLOW_TIMEOUT_S="0.5")

    stack.emulator.pause()
    try:
        answered = served.post(event)
    finally:
        stack.emulator.resume()

    assert (answered.status_code, answered.json()["code"]) == (503, "contract_timeout")
    assert int(answered.headers["Retry-After"]) > 0
    assert served.tables.balances() == {}
    assert served.post(event).status_code == 200
    assert served.tables.balances() == {user: FLOW}


def test_of_many_replays_at_once_one_is_worked(
    served: Served, game: Game, contract_address: str
) -> None:
    user = new_address()
    game.deposit(user, FLOW)
    event = event_of(user, game.chain.latest_height(), contract_address)
    answers: list[httpx.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(served.post(event))) for _ in "12345"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {each.status_code for each in answers} <= {200, 409}
    assert served.audit_users() == [user]


def test_thousands_of_users_go_through_the_queue(
    served: Served, sqs: SqsQueue, contract_balances: Give, game: Game, contract_address: str
) -> None:
    served.set_env(RECONCILE_QUEUE_URL=sqs.url)
    users = new_addresses(2_000)
    truth = {user: 1_000 + number for number, user in enumerate(users)}
    served.tables.insert(dict.fromkeys(users[:1_500], 7))
    contract_balances(truth)
    height = game.chain.latest_height()

    events = {"events": [event_of(user, height, contract_address) for user in users]}
    answered = served.post(events)

    assert answered.status_code == 202, answered.text
    assert (answered.json()["users"], answered.json()["queued"]) == (2_000, 2)
    assert served.tables.audit() == []
    assert served.post(events).headers["Webhook-Replayed"] == "true"
    messages = sqs.take()
    assert len(messages) == 2
    records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
    for _ in range(2):  # the second delivery changes nothing
        assert sweep_chunk.handler({"Records": records}, Context()) == {"batchItemFailures": []}
        assert served.tables.balances() == truth
        assert served.audit_users() == users


def test_a_thousand_users_are_fast_at_once(
    served: Served, contract_balances: Give, game: Game, contract_address: str
) -> None:
    users = new_addresses(1_000)
    contract_balances(dict.fromkeys(users, 5))
    height = game.chain.latest_height()

    began_s = time.monotonic()
    answered = served.post([event_of(user, height, contract_address) for user in users])

    assert answered.status_code == 200, answered.text
    assert time.monotonic() - began_s < 10
    assert served.tables.balances() == dict.fromkeys(users, 5)
