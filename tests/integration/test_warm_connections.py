"""A warm invocation opens no connection: one channel and one HTTP client serve a process."""

import json
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

from functions.reconcile_user import handler
from shared.core.access import ApiKey, Role, key_digest
from tests.conftest import LedgerTables, Setting, new_address
from tests.deploy.events import api_event
from tools.stack import Stack

KEY = "warm-warm-warm-warm-warm-warm-warm-warm"
SENT = {"Authorization": f"Bearer {KEY}"}


class Connection(NamedTuple):
    """From which of our ports to which of a server's."""

    ours: int
    theirs: int


def connections(stack: Stack) -> set[Connection]:
    """This process's open connections to PostgREST and to the access node."""
    servers = {urlsplit(stack.env["SUPABASE_REST_URL"]).port, _port(stack.access_node)}
    return {
        Connection(each.laddr.port, each.raddr.port)
        for each in psutil.Process(os.getpid()).net_connections("tcp")
        if each.status == psutil.CONN_ESTABLISHED and each.raddr.port in servers
    }


def _port(access_node: str) -> int:
    return int(access_node.rpartition(":")[2])


class Context:
    """Lambda's, as far as the function looks at it."""

    aws_request_id = "warm-1"


def test_invocations_share_one_channel_and_one_http_client(
    stack: Stack,
    environment: Setting,
    ledger_rows: LedgerTables,
    contract_balances: Callable[[Mapping[str, int]], None],
) -> None:
    users = [new_address() for _ in range(4)]
    ledger_rows.insert(dict.fromkeys(users, 1))
    contract_balances(dict.fromkeys(users, 2))
    environment(RECONCILE_API_KEYS=ApiKey("warm", Role.ADMIN, key_digest(KEY)).line())
    before = connections(stack)
    opened = []
    for user in users:
        body = json.dumps({"userAddress": user}).encode()
        answer = handler(api_event("reconcile_user", body, headers=SENT), Context())
        assert answer["statusCode"] == 200, answer
        opened.append(connections(stack) - before)
    assert len({each.theirs for each in opened[0]}) == 2
    assert len(opened[0]) == 2
    assert all(each == opened[0] for each in opened)
    assert set(ledger_rows.balances().values()) == {2}
