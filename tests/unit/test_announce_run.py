"""Every run that may write is announced once, whoever ends it; the watchdog catches the rest."""

import logging

import pytest

from shared.cli.main import main
from shared.core.errors import InvalidSettings, LedgerUnreachable
from shared.core.policy import Policy
from shared.services.alerter import RETRY_AFTER_S
from shared.services.watchdog import Watchdog
from tests.unit.alerts import FakeChannel
from tests.unit.users import user
from tests.unit.worlds import CAREFREE, World

DOWN = LedgerUnreachable("the database is down", remedy="Wait.")
OPENED = "opened run_discrepancies"
RESOLVED = "resolved run_discrepancies"


@pytest.fixture
def slack() -> FakeChannel:
    return FakeChannel("slack-1")


def world_of(*channels: FakeChannel, differing: int = 2, policy: Policy = CAREFREE) -> World:
    """200 users, of whom some have 1 unit too much in the ledger."""
    return World(
        {user(n): n + (n <= differing) for n in range(1, 201)},
        {user(n): n for n in range(1, 201)},
        policy,
        channels=channels,
    )


class Reports:
    """Stores nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def store_pending(self, limit: int) -> int:
        self.asked.append(limit)
        return 1


def watchdog(world: World, reports: Reports | None = None) -> Watchdog:
    return Watchdog(world.alerts, world.alerter, world.announcer, overdue_hours=3, reports=reports)


def test_a_run_is_announced_once_however_many_notice(slack: FakeChannel) -> None:
    world = world_of(slack)
    world.sweep()
    world.announcer.announce_quietly()
    world.announcer.announce_quietly()
    watchdog(world).tick(lambda: False)
    assert slack.titles == [OPENED]


def test_the_next_run_that_finds_nothing_tells_that_it_is_over(slack: FakeChannel) -> None:
    world = world_of(slack)
    for _ in range(3):
        world.sweep()
        world.announcer.announce_quietly()
    assert slack.titles == [OPENED, RESOLVED]


def test_runs_are_announced_in_the_order_of_their_ends(slack: FakeChannel) -> None:
    world = world_of(slack)
    world.sweep()
    world.clock.advance(60)
    world.sweep()
    assert watchdog(world).tick(lambda: False).announced == 2
    assert slack.titles == [OPENED, RESOLVED]


def test_a_dry_run_is_no_news(slack: FakeChannel) -> None:
    world = world_of(slack)
    world.sweep(dry_run=True)
    assert watchdog(world).tick(lambda: False).announced == 0
    assert slack.titles == []


def test_a_halted_run_is_told_and_an_applied_one_ends_that(slack: FakeChannel) -> None:
    world = world_of(slack, differing=150, policy=Policy(settle_s=0))
    halted = world.sweep().summary
    world.announcer.announce_quietly()
    world.clock.advance(60)
    world.sweep()
    world.announcer.announce_quietly()
    assert slack.titles == ["opened run_halted"]
    world.clock.advance(60)
    world.sweeper.apply(halted.run_id, "ADMIN", accept_halt="it is real")
    world.announcer.announce_quietly()
    assert sorted(slack.titles[1:]) == [OPENED, "resolved run_halted"]


def test_a_process_without_a_channel_leaves_it_to_one_that_has_some(slack: FakeChannel) -> None:
    world = world_of()
    world.sweep()
    world.announcer.announce_quietly()
    assert world.alerts.list_alerts(open_only=True) == []
    with_slack = world_of(slack)
    with_slack.sweep()
    watchdog(with_slack).tick(lambda: False)
    assert slack.titles == [OPENED]


def test_a_watchdog_without_a_channel_keeps_the_alert_for_the_dashboard() -> None:
    world = world_of()
    world.sweep()
    watched = watchdog(world).tick(lambda: False)
    assert (watched.announced, watched.open_alerts) == (1, 1)


@pytest.mark.parametrize("method", ["unannounced", "announce", "lease"])
def test_a_database_that_fails_leaves_the_run_to_the_watchdog(
    slack: FakeChannel, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    world = world_of(slack)
    world.sweep()
    world.alerts.fail_next(DOWN, method=method)
    world.announcer.announce_quietly()
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    world.clock.advance(60)
    watchdog(world).tick(lambda: False)
    assert slack.titles == [OPENED]


def test_a_channel_that_is_down_changes_nothing_for_the_run(slack: FakeChannel) -> None:
    world = world_of(slack)
    slack.break_down()
    assert main(["--all", "--yes"], world) == 0
    assert len(world.ledger.audit) == 2
    slack.mend()
    world.clock.advance(RETRY_AFTER_S[0])
    assert watchdog(world).tick(lambda: False).delivered.sent == 1
    assert slack.titles == [OPENED]


def test_the_command_announces_the_run_that_it_has_ended(slack: FakeChannel) -> None:
    world = world_of(slack)
    assert main(["--all", "--dry-run"], world) == 1
    assert slack.titles == []
    assert main(["--all", "--yes"], world) == 0
    assert slack.titles == [OPENED]


def test_the_command_announces_a_run_that_failed_under_it(slack: FakeChannel) -> None:
    world = world_of(slack)
    world.contract.fail_when(lambda users: DOWN)
    assert main(["--all", "--yes"], world) == 2
    assert slack.titles == ["opened run_failed"]


# -- the watchdog -----------------------------------------------------------------------------


def test_a_ledger_that_no_run_covers_is_overdue_until_one_does(slack: FakeChannel) -> None:
    world = world_of(slack, differing=0)
    assert not watchdog(world).tick(lambda: False).is_overdue
    world.clock.advance(3 * 3_600)
    for _ in range(2):
        assert watchdog(world).tick(lambda: False).is_overdue
        world.clock.advance(300)
    world.sweep()
    assert not watchdog(world).tick(lambda: False).is_overdue
    assert slack.titles == ["opened sweep_overdue", "resolved sweep_overdue"]


def test_reports_that_wait_are_stored_while_there_is_time() -> None:
    reports = Reports()
    assert watchdog(world_of(), reports).tick(lambda: False).reports == 1
    watchdog(world_of(), reports).tick(lambda: True)
    assert len(reports.asked) == 1


@pytest.mark.parametrize("method", ["unannounced", "tick", "lease", "list_alerts"])
def test_what_fails_keeps_nothing_else_from_being_done_and_is_raised(
    slack: FakeChannel, method: str
) -> None:
    world, reports = world_of(slack), Reports()
    world.sweep()
    world.alerts.fail_next(DOWN, times=9, method=method)
    with pytest.raises(LedgerUnreachable):
        watchdog(world, reports).tick(lambda: False)
    assert len(reports.asked) == 1


def test_a_channel_that_could_never_send_fails_the_watchdog_and_no_other_channel(
    slack: FakeChannel,
) -> None:
    world = world_of(slack, FakeChannel("broken", is_valid=False))
    world.sweep()
    with pytest.raises(InvalidSettings):
        watchdog(world).tick(lambda: False)
    assert slack.titles == [OPENED]


def test_an_announcer_stops_when_there_is_no_time_left(slack: FakeChannel) -> None:
    world = world_of(slack)
    world.sweep()
    assert world.announcer.announce(lambda: True) == 0
    assert world.announcer.announce() == 1
