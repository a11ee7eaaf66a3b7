"""From drift to a message on a real channel: functions and command over the real stack."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from functions import sweep, sweep_chunk, watchdog
from shared.bootstrap import services
from shared.cli.main import main
from shared.core.alert import AlertKind
from shared.core.alert_message import DeliveryState
from shared.core.run import RunState
from shared.core.run_alert import AlertLimits, observations_of
from tests.aws import SqsQueue
from tests.conftest import LedgerTables, Setting, new_addresses
from tests.lambda_context import Context
from tests.receivers import WebhookServer
from tools.stack import Stack
from tools.stack.ports import free_ports

Give = Callable[[Mapping[str, int]], None]

USERS = 20
DRIFTED = 3
FLOW = 100_000_000


@dataclass(frozen=True)
class Watched:
    """A drifted ledger, its truth in the contract, and a webhook that is told."""

    webhook: WebhookServer
    tables: LedgerTables
    truth: dict[str, int]
    set_env: Setting
    database_url: str

    @property
    def drifted(self) -> list[str]:
        return sorted(self.truth)[:DRIFTED]

    @property
    def titles(self) -> list[str]:
        return [body["title"] for body in self.webhook.bodies]

    def drift(self) -> None:
        """Take 2 FLOW from the ledger rows of three users."""
        named = ", ".join(f"'{user}'" for user in self.drifted)
        statement = "update public.user_balances set balance = balance - 2"
        self.tables.run(f"{statement} where user_address in ({named})")

    def tick(self, **asked: bool) -> dict[str, Any]:
        """What the schedule of sweep does; the run as it stands."""
        run: dict[str, Any] = sweep.handler({"adminAddress": "CRON", **asked}, Context())["run"]
        return run

    def watch(self) -> dict[str, Any]:
        """What the schedule of watchdog does."""
        return watchdog.handler({}, Context())

    def pass_time(self, hours: float) -> None:
        """Move all moments of alerts and ended runs into the past."""
        by = f"make_interval(secs => {hours * 3600})"
        with psycopg.connect(self.database_url) as database:
            for statement in (
                f"update reconciliation_alert_deliveries set next_at = next_at - {by}",
                f"update reconciliation_runs set finished_at = finished_at - {by}",
                f"update reconciliation_watchdog set first_tick_at = first_tick_at - {by}",
            ):
                database.execute(statement.encode())


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer().serving() as webhook:
        yield webhook


@pytest.fixture
def watched(
    webhook: WebhookServer,
    environment: Setting,
    ledger_rows: LedgerTables,
    contract_balances: Give,
    stack: Stack,
) -> Watched:
    environment(
        RECONCILE_ALERT_URLS=f"json://127.0.0.1:{webhook.port}/alerts",
        RECONCILE_DASHBOARD_URL="https://ops.example/dashboard",
        RECONCILE_STAGE="prod",
    )
    users = new_addresses(USERS)
    truth = {user: 10 * FLOW + number for number, user in enumerate(users)}
    ledger_rows.insert(truth)
    contract_balances(truth)
    return Watched(webhook, ledger_rows, truth, environment, stack.database_url)


def test_drift_is_told_once_and_its_end_too(watched: Watched) -> None:
    watched.drift()
    run = watched.tick()

    (told,) = watched.webhook.bodies
    assert told["title"] == (
        "[prod] WARNING: The ledger was off by 6.00000000 FLOW: 3 users corrected."
    )
    assert told["type"] == "warning"
    body = told["message"]
    assert "Ledger too low by: 6.00000000 FLOW\n" in body
    assert f"{watched.drifted[0]} 2.00000000" in body
    assert f"Run: {run['runId']}\n" in body
    assert "Runbook: docs/runbook.md#run_discrepancies\n" in body
    assert f"https://ops.example/dashboard/runs/{run['runId']}" in body

    assert watched.watch()["announced"] == 0
    watched.tick()
    watched.tick()
    assert watched.titles[1:] == ["[prod] Resolved: run discrepancies"]
    assert watched.watch() == {
        "announced": 0,
        "overdue": False,
        "sent": 0,
        "failed": 0,
        "gaveUp": 0,
        "reports": 0,
        "openAlerts": 0,
    }


def test_a_dry_run_tells_nobody(watched: Watched) -> None:
    watched.drift()
    assert watched.tick(dryRun=True)["outcomes"]["would_correct"] == DRIFTED
    assert watched.watch()["announced"] == 0
    assert watched.titles == []


def test_the_queues_worker_tells_of_the_run_that_it_ends(watched: Watched, sqs: SqsQueue) -> None:
    watched.set_env(RECONCILE_QUEUE_URL=sqs.url, RECONCILE_BATCH_SIZE="5")
    watched.drift()
    watched.tick()
    while messages := sqs.take():
        records = [{"messageId": each["MessageId"], "body": each["Body"]} for each in messages]
        assert sweep_chunk.handler({"Records": records}, Context()) == {"batchItemFailures": []}
        sqs.delete(messages)
    assert services().runs.list(limit=1)[0].state is RunState.FINISHED
    assert [title.split(":")[0] for title in watched.titles] == ["[prod] WARNING"]


def test_the_command_tells_of_its_run(watched: Watched, capsys: pytest.CaptureFixture[str]) -> None:
    watched.drift()
    assert main(["--all", "--yes"]) == 0
    assert len(watched.titles) == 1
    capsys.readouterr()
    assert main(["alerts"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("WARNING  run_discrepancies  since ")
    assert "The ledger was off by 6.00000000 FLOW: 3 users corrected." in shown
    assert main(["alerts", "test"]) == 0
    assert capsys.readouterr().out.endswith("  sent\n")
    assert watched.titles[-1] == "[prod] Test of the alerts: nothing is wrong"


def test_a_halted_run_is_told_and_not_again_by_the_next_one(watched: Watched) -> None:
    watched.set_env(RECONCILE_HALT_MIN_USERS="10", RECONCILE_HALT_SHARE="0.1")
    watched.drift()
    assert watched.tick()["state"] == "halted"
    assert watched.tick()["state"] == "halted"
    (title,) = watched.titles
    assert title.startswith("[prod] CRITICAL: The safety stop halted a run")


def test_a_channel_that_is_down_fails_no_run_and_is_told_later(
    watched: Watched, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    good = watched.webhook.port
    (nobody,) = free_ports(1)
    both = f"json://127.0.0.1:{good}/a, json://127.0.0.1:{nobody}/b"
    watched.set_env(RECONCILE_ALERT_URLS=both)
    watched.drift()
    with caplog.at_level(logging.WARNING):
        assert watched.tick()["state"] == "finished"
    assert len(watched.titles) == 1
    assert "was not sent to json-" in caplog.text
    (waiting,) = services().alerts.list_deliveries(undelivered=True)
    assert (waiting.state, waiting.attempts) == (DeliveryState.PENDING, 1)
    assert main(["alerts"]) == 0
    assert "attempt 1 failed, next" in capsys.readouterr().out
    assert watched.watch()["failed"] == 0  # it is not due yet

    watched.pass_time(1)
    assert watched.watch()["failed"] == 1
    watched.pass_time(1)
    with WebhookServer(nobody).serving() as late:
        assert watched.watch()["sent"] == 1
        assert len(late.bodies) == 1
    assert services().alerts.list_deliveries(undelivered=True) == []
    assert len(watched.titles) == 1


def test_a_run_that_was_ended_by_a_process_that_died_is_told_by_the_watchdog(
    watched: Watched,
) -> None:
    watched.drift()
    services().sweeper.sweep("ADMIN", dry_run=False)
    assert watched.titles == []
    assert watched.watch()["announced"] == 1
    assert len(watched.titles) == 1


def test_a_message_that_a_process_stored_and_never_sent_is_sent_by_the_watchdog(
    watched: Watched,
) -> None:
    watched.drift()
    run = services().sweeper.sweep("ADMIN", dry_run=False).summary
    (ended,) = services().alerts.unannounced(limit=1)
    assert ended.run.run_id == run.run_id
    names = services().alerter.channels
    observations = observations_of(ended, AlertLimits())
    assert services().alerts.announce(run.run_id, observations, channels=names).deliveries == 1
    assert watched.titles == []
    assert (watched.watch()["sent"], len(watched.titles)) == (1, 1)


def test_a_ledger_that_no_run_has_covered_is_overdue_until_one_does(watched: Watched) -> None:
    watched.tick()
    assert not watched.watch()["overdue"]
    watched.pass_time(3.1)
    assert watched.watch()["overdue"]
    assert watched.watch()["overdue"]
    watched.tick()
    assert not watched.watch()["overdue"]
    assert watched.titles == [
        "[prod] CRITICAL: No run has covered the ledger for 3 hours: drift goes unseen.",
        "[prod] Resolved: sweep overdue",
    ]


def test_without_a_channel_the_alert_is_kept_for_who_looks(watched: Watched) -> None:
    watched.set_env(RECONCILE_ALERT_URLS="")
    watched.drift()
    watched.tick()
    assert services().alerts.list_alerts(open_only=True) == []
    assert watched.watch()["openAlerts"] == 1
    (held,) = services().alerts.list_alerts(open_only=True)
    assert held.kind is AlertKind.RUN_DISCREPANCIES
