"""`reconcile alerts` over a store in memory."""

import json

import pytest

from shared.cli.alerts import list_alerts, try_alerts
from shared.cli.arguments import parse
from shared.cli.commands import ListAlerts, TryAlerts
from shared.core.alert import AlertKind, Severity
from shared.core.errors import InvalidSettings
from shared.services.alerter import RETRY_AFTER_S
from tests.unit.alerts import RUN_ID, FakeChannel, alert
from tests.unit.worlds import World

KIND = AlertKind.RUN_HALTED


@pytest.fixture
def slack() -> FakeChannel:
    return FakeChannel("slack-1")


@pytest.fixture
def world(slack: FakeChannel) -> World:
    return World(channels=(slack,))


def listed(
    world: World, capsys: pytest.CaptureFixture[str], *, show_all: bool = False
) -> list[str]:
    assert list_alerts(ListAlerts(all=show_all, as_json=False), world.alerts) == 0
    return capsys.readouterr().out.splitlines()


def test_the_command_line_says_what_is_asked_for() -> None:
    assert parse(["alerts"]) == ListAlerts(all=False, as_json=False)
    assert parse(["alerts", "--all", "--json"]) == ListAlerts(all=True, as_json=True)
    assert parse(["alerts", "test", "--json"]) == TryAlerts(as_json=True)


def test_when_nothing_is_wrong_it_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert list_alerts(ListAlerts(all=False, as_json=False), world.alerts) == 0
    assert capsys.readouterr() == ("", "No alert is open.\n")


def test_an_open_alert_says_what_and_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    held = alert(kind=KIND, severity=Severity.CRITICAL)
    for _ in range(2):
        world.alerter.observe(KIND, held, run_id=RUN_ID)
    assert listed(world, capsys) == [
        "CRITICAL  run_halted  since 2026-01-02 03:04 UTC, seen 2 times",
        "  It is bad.",
        "  Users: 3",
        "  FLOW: 1.50000000",
        f"  Run: {RUN_ID}",
        "  What to do: Look.",
        "  Runbook: docs/runbook.md#run_halted",
    ]


def test_what_is_over_is_shown_only_with_all(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.alerter.observe(KIND, alert(kind=KIND))
    world.clock.advance(3_600)
    world.alerter.observe(KIND, None)
    assert listed(world, capsys) == []
    shown = listed(world, capsys, show_all=True)
    assert shown[0].endswith("since 2026-01-02 03:04 UTC, until 2026-01-02 04:04 UTC, seen once")
    assert not any("What to do" in line for line in shown)


def test_a_message_that_did_not_go_out_says_why(
    world: World, slack: FakeChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.break_down()
    world.alerter.observe(KIND, alert(kind=KIND))
    world.alerts.observe(KIND, None, run_id=None, channels=["slack-1"])
    head, *rest = listed(world, capsys)
    assert head == "Not delivered:"
    assert rest == [
        "  slack-1  run_halted resolved  2026-01-02 03:04 UTC  waits to be sent",
        "  slack-1  run_halted opened  2026-01-02 03:04 UTC  attempt 1 failed, next 03:05 UTC: "
        "no answer. Try again.",
    ]
    for wait_s in RETRY_AFTER_S:
        world.clock.advance(wait_s)
        world.alerter.deliver()
    assert any("given up after 5 attempts: no answer" in line for line in listed(world, capsys))


def test_text_from_elsewhere_cannot_drive_the_terminal(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.alerter.observe(KIND, alert(kind=KIND, summary="\x1b[2J", facts={"a\n": "\x1b[0m"}))
    assert "\x1b" not in "".join(listed(world, capsys))


def test_as_json_each_is_a_line(
    world: World, slack: FakeChannel, capsys: pytest.CaptureFixture[str]
) -> None:
    slack.break_down()
    world.alerter.observe(KIND, alert(kind=KIND), run_id=RUN_ID)
    assert list_alerts(ListAlerts(all=False, as_json=True), world.alerts) == 0
    held, waiting = map(json.loads, capsys.readouterr().out.splitlines())
    assert (held["kind"], held["runId"], held["facts"]["Users"]) == ("run_halted", str(RUN_ID), "3")
    assert (held["openedAt"], held["resolvedAt"]) == ("2026-01-02T03:04:05.678Z", None)
    assert (waiting["channel"], waiting["state"], waiting["attempts"]) == ("slack-1", "pending", 1)
    assert waiting["alertId"] == held["alertId"]


@pytest.mark.parametrize("as_json", [False, True])
def test_a_test_says_of_each_channel_whether_it_went(
    slack: FakeChannel, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    mail = FakeChannel("mailto-2")
    world = World(channels=(slack, mail))
    command = TryAlerts(as_json=as_json)
    assert try_alerts(command, world.alerter) == 0
    mail.break_down()
    capsys.readouterr()
    assert try_alerts(command, world.alerter) == 2
    lines = capsys.readouterr().out.splitlines()
    fault = "no answer. Try again."
    if as_json:
        assert [json.loads(line)["error"] for line in lines] == [None, fault]
    else:
        assert lines == ["slack-1  sent", f"mailto-2  {fault}"]


def test_without_a_channel_there_is_nothing_to_test() -> None:
    with pytest.raises(InvalidSettings, match="RECONCILE_ALERT_URLS"):
        try_alerts(TryAlerts(as_json=False), World().alerter)
