"""Alerts delivered: once, through every channel, and none of it is anybody else's fault."""

import logging
import time

import pytest

from shared.core.alert import AlertKind, Severity
from shared.core.alert_message import DeliveryState
from shared.core.errors import InvalidSettings, LedgerBadAnswer, LedgerUnreachable
from shared.services.alerter import ATTEMPTS_MAX, RETRY_AFTER_S, Alerter, Delivered
from shared.services.send_bounded import send_bounded
from tests.unit.alerts import FakeChannel, PlainTexts, alert
from tests.unit.worlds import World

KIND = AlertKind.AUDIT_BROKEN
DOWN = LedgerUnreachable("the database is down", remedy="Wait.")


@pytest.fixture
def slack() -> FakeChannel:
    return FakeChannel("slack-1")


@pytest.fixture
def mail() -> FakeChannel:
    return FakeChannel("mailto-2")


@pytest.fixture
def world(slack: FakeChannel, mail: FakeChannel) -> World:
    return World(channels=(slack, mail))


def test_everyone_hears_once_of_the_beginning_and_of_the_end(
    world: World, slack: FakeChannel, mail: FakeChannel
) -> None:
    for state in ("bad", "bad", "worse", "worse"):
        world.alerter.observe(KIND, alert(state, severity=Severity.CRITICAL))
    world.alerter.observe(KIND, None)
    world.alerter.observe(KIND, None)
    told = ["opened audit_broken", "changed audit_broken", "resolved audit_broken"]
    assert (slack.titles, mail.titles) == (told, told)
    assert slack.severities == [Severity.CRITICAL, Severity.CRITICAL, Severity.INFO]


def test_a_channel_that_fails_keeps_no_other_from_hearing(
    world: World, slack: FakeChannel, mail: FakeChannel
) -> None:
    slack.break_down()
    world.alerter.observe(KIND, alert())
    assert mail.titles == ["opened audit_broken"]
    (waiting,) = world.alerts.list_deliveries(undelivered=True)
    assert (waiting.channel, waiting.state) == ("slack-1", DeliveryState.PENDING)
    assert waiting.error == "no answer. Try again."


def test_what_failed_is_sent_later_and_in_its_order(world: World, slack: FakeChannel) -> None:
    slack.break_down()
    world.alerter.observe(KIND, alert())
    world.alerter.observe(KIND, None)
    slack.mend()
    assert world.alerter.deliver() == Delivered()
    world.clock.advance(RETRY_AFTER_S[0])
    assert world.alerter.deliver() == Delivered(sent=2)
    assert slack.titles == ["opened audit_broken", "resolved audit_broken"]
    assert world.alerts.list_deliveries(undelivered=True) == []


def test_a_message_is_given_up_after_its_attempts_and_that_is_seen(
    world: World, slack: FakeChannel
) -> None:
    slack.break_down()
    world.alerter.observe(KIND, alert())
    for wait_s in RETRY_AFTER_S[:-1]:
        world.clock.advance(wait_s)
        assert world.alerter.deliver() == Delivered(failed=1)
    world.clock.advance(RETRY_AFTER_S[-1])
    assert world.alerter.deliver() == Delivered(gave_up=1)
    (given_up,) = world.alerts.list_deliveries(undelivered=True)
    assert (given_up.state, given_up.attempts) == (DeliveryState.GAVE_UP, ATTEMPTS_MAX)


def test_an_error_that_nobody_foresaw_shows_no_secret(world: World, slack: FakeChannel) -> None:
    slack.fault = RuntimeError("https://hooks.example/secret")
    world.alerter.observe(KIND, alert())
    (waiting,) = world.alerts.list_deliveries(undelivered=True)
    assert waiting.error == "an unexpected RuntimeError"


def test_nothing_is_lost_when_a_process_dies_before_it_sends(
    world: World, slack: FakeChannel
) -> None:
    world.alerts.observe(KIND, alert(), run_id=None, channels=world.alerter.channels)
    assert world.alerter.deliver() == Delivered(sent=2)
    assert slack.titles == ["opened audit_broken"]


def test_a_message_that_could_not_be_noted_as_sent_is_sent_again_and_no_other(
    world: World, slack: FakeChannel, mail: FakeChannel
) -> None:
    world.alerts.fail_next(DOWN, method="sent")
    world.alerter.observe(KIND, alert())
    (unknown,) = world.alerts.list_deliveries(undelivered=True)
    world.clock.advance(60)
    assert world.alerter.deliver() == Delivered(sent=1)
    assert len(slack.titles + mail.titles) == 3
    assert world.alerts.list_deliveries(undelivered=True) == []
    assert unknown.state is DeliveryState.PENDING


@pytest.mark.parametrize("method", ["observe", "lease", "sent"])
@pytest.mark.parametrize(
    "error", [DOWN, LedgerBadAnswer("another version", remedy="Apply the migrations.")]
)
def test_a_database_that_fails_is_logged_and_never_raised(
    world: World, caplog: pytest.LogCaptureFixture, method: str, error: LedgerUnreachable
) -> None:
    world.alerts.fail_next(error, times=9, method=method)
    world.alerter.observe(KIND, alert())
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert error.fault in record.getMessage()


def test_a_channel_that_hangs_is_not_waited_for() -> None:
    began_s = time.monotonic()
    faults = send_bounded([lambda: time.sleep(5), lambda: None], 0.05)
    assert faults == ["it took longer than 0.05 s", None]
    assert time.monotonic() - began_s < 4


def test_a_test_goes_through_every_channel_and_says_of_each_whether_it_went(
    world: World, slack: FakeChannel, mail: FakeChannel
) -> None:
    mail.break_down()
    assert world.alerter.test() == {"slack-1": None, "mailto-2": "no answer. Try again."}
    assert slack.titles == ["test"]
    assert world.alerts.list_deliveries(undelivered=False) == []


def test_a_channel_that_could_never_send_is_an_invalid_setting(world: World) -> None:
    world.alerter.check()
    broken = FakeChannel("x", is_valid=False)
    with pytest.raises(InvalidSettings):
        Alerter(world.alerts, [broken], PlainTexts(), world.clock).check()
