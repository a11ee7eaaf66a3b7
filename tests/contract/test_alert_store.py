"""One suite over the fake alert store and the real one: they cannot drift apart."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.adapters.supabase_alerts import SupabaseAlerts
from shared.adapters.supabase_ledger import SupabaseLedger, connect
from shared.adapters.supabase_run_store import SupabaseRunStore
from shared.core.alert import Alert, AlertKind, Severity
from shared.core.alert_message import AlertEvent, Delivery, DeliveryState
from shared.core.amount import FlowAmount
from shared.core.errors import RunNotApplicable, RunNotFound
from shared.core.outcome import Outcome
from shared.core.review import Halt
from shared.core.run import RunState
from shared.ports.alerts import AlertStore, Announced, Observed
from tests.contract.run_stores import (
    FakeWorld,
    RealWorld,
    World,
    correct_in_ledger,
    correcting,
    differing,
    found,
    leased,
    result,
    scan,
    started,
)
from tests.fakes.fake_alerts import FakeAlerts
from tests.unit.alerts import alert
from tests.unit.users import user
from tools.stack import Stack

KIND = AlertKind.AUDIT_BROKEN
A, B = "slack-0000000a", "mailto-0000000b"
LEASE_S = 60.0
ATTEMPTS_MAX = 3
_MOMENTS = {
    "reconciliation_alerts": ("opened_at", "changed_at", "last_seen_at", "resolved_at"),
    "reconciliation_alert_deliveries": ("created_at", "next_at", "leased_until", "sent_at"),
    "reconciliation_watchdog": ("first_tick_at", "last_tick_at"),
}


@dataclass(frozen=True)
class AlertWorld:
    """An alert store in one database with a run store."""

    alerts: AlertStore
    runs: World
    pass_time: Callable[[float], None]

    def observe(
        self,
        held: Alert | None,
        *channels: str,
        kind: AlertKind = KIND,
        run_id: UUID | None = None,
    ) -> Observed:
        return self.alerts.observe(kind, held, run_id=run_id, channels=channels)

    def lease(self, *channels: str, token: UUID | None = None, limit: int = 10) -> list[Delivery]:
        return self.alerts.lease(
            channels,
            token=token or uuid4(),
            lease_s=LEASE_S,
            limit=limit,
            attempts_max=ATTEMPTS_MAX,
        )

    def states(self) -> list[tuple[str, DeliveryState, str | None]]:
        """Channel, state and error of all messages, the oldest first."""
        listed = self.alerts.list_deliveries(undelivered=False)
        return [(each.channel, each.state, each.error) for each in reversed(listed)]


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[AlertWorld]:
    if request.param == "fake":
        fake = FakeWorld()
        alerts = FakeAlerts(fake.fake_store, fake._clock)
        yield AlertWorld(alerts, fake, fake.pass_time)
        return
    request.getfixturevalue("clean_ledger")
    stack: Stack = request.getfixturevalue("stack")
    client = connect(
        url=stack.env["SUPABASE_URL"],
        service_role_key=stack.env["SUPABASE_SERVICE_ROLE_KEY"],
        rest_url=stack.env["SUPABASE_REST_URL"],
        timeout_s=30,
    )
    session = client.options.httpx_client
    assert session is not None
    with closing(session), psycopg.connect(stack.database_url, autocommit=True) as database:
        runs = RealWorld(SupabaseRunStore(client), SupabaseLedger(client), database)

        def pass_time(duration_s: float) -> None:
            runs.pass_time(duration_s)
            for table, columns in _MOMENTS.items():
                earlier = ", ".join(
                    f"{each} = {each} - make_interval(secs => {duration_s})" for each in columns
                )
                database.execute(f"update {table} set {earlier}".encode())

        yield AlertWorld(SupabaseAlerts(client), runs, pass_time)


def said(deliveries: list[Delivery]) -> list[tuple[str, AlertEvent, str, int]]:
    """Channel, event, summary and attempt of each."""
    return [
        (each.channel, each.message.event, each.message.summary, each.attempt)
        for each in deliveries
    ]


# -- conditions -------------------------------------------------------------------------------


def test_nothing_that_is_over_is_no_news(world: AlertWorld) -> None:
    assert world.observe(None, A) == Observed()
    assert world.alerts.list_alerts(open_only=False) == []


def test_a_condition_begins_goes_on_changes_and_ends(world: AlertWorld) -> None:
    run_id = uuid4()
    opened = world.observe(alert("bad"), A, B, run_id=run_id)
    assert (opened.event, opened.deliveries) == (AlertEvent.OPENED, 2)
    again = world.observe(alert("bad", severity=Severity.CRITICAL), A, B)
    assert again == Observed(alert_id=opened.alert_id)
    changed = world.observe(alert("worse", severity=Severity.CRITICAL), A, B)
    assert changed == Observed(event=AlertEvent.CHANGED, alert_id=opened.alert_id, deliveries=2)
    over = world.observe(None, A, B)
    assert over == Observed(event=AlertEvent.RESOLVED, alert_id=opened.alert_id, deliveries=2)
    assert world.observe(None, A, B) == Observed()
    anew = world.observe(alert("bad"), A)
    assert (anew.event, anew.alert_id != opened.alert_id) == (AlertEvent.OPENED, True)


def test_an_alert_is_listed_as_it_is(world: AlertWorld) -> None:
    run_id = uuid4()
    opened = world.observe(alert("bad"), A, run_id=run_id)
    world.pass_time(60)
    world.observe(alert("bad"), A)
    (listed,) = world.alerts.list_alerts(open_only=True)
    assert listed.alert_id == opened.alert_id
    assert (listed.kind, listed.severity, listed.state) == (KIND, Severity.WARNING, "bad")
    assert (listed.summary, listed.remedy) == ("It is bad.", "Look.")
    assert list(listed.facts.items()) == [("Users", "3"), ("FLOW", "1.50000000")]
    assert (listed.run_id, listed.times, listed.is_open) == (run_id, 2, True)
    assert listed.opened_at == listed.changed_at
    assert timedelta(seconds=59) < listed.last_seen_at - listed.opened_at < timedelta(seconds=90)

    world.observe(None, A)
    assert world.alerts.list_alerts(open_only=True) == []
    (past,) = world.alerts.list_alerts(open_only=False)
    assert past.resolved_at is not None
    assert not past.is_open


def test_alerts_are_paged_from_the_newest(world: AlertWorld) -> None:
    for kind in (KIND, AlertKind.RUN_HALTED, AlertKind.SWEEP_OVERDUE):
        world.observe(alert(kind=kind), kind=kind)
        world.pass_time(1)
    first = world.alerts.list_alerts(open_only=False, limit=2)
    assert [each.kind for each in first] == [AlertKind.SWEEP_OVERDUE, AlertKind.RUN_HALTED]
    (rest,) = world.alerts.list_alerts(open_only=False, before=first[-1].alert_id)
    assert rest.kind is KIND
    assert world.alerts.list_alerts(open_only=False, before=uuid4()) == []


def test_a_channel_that_has_not_heard_is_told_by_the_next_observer(world: AlertWorld) -> None:
    assert world.observe(alert("bad")).deliveries == 0
    assert world.observe(alert("bad"), A) == Observed(
        alert_id=world.alerts.list_alerts(open_only=True)[0].alert_id, deliveries=1
    )
    assert world.observe(alert("bad"), A).deliveries == 0
    assert world.observe(alert("bad"), A, B).deliveries == 1
    world.pass_time(1)
    assert world.observe(alert("worse")).event is AlertEvent.CHANGED
    assert world.observe(alert("worse"), A, B).deliveries == 2


def test_nobody_hears_of_the_end_of_what_nobody_heard_of(world: AlertWorld) -> None:
    world.observe(alert("bad"))
    over = world.observe(None, A)
    assert (over.event, over.deliveries) == (AlertEvent.RESOLVED, 0)


# -- the outbox -------------------------------------------------------------------------------


def test_a_message_says_what_the_alert_was_then(world: AlertWorld) -> None:
    run_id = uuid4()
    world.observe(alert("bad"), A, run_id=run_id)
    world.pass_time(60)
    world.observe(None, A)
    first = world.lease(A)
    assert said(first) == [(A, AlertEvent.OPENED, "It is bad.", 1)]
    message = first[0].message
    assert (message.kind, message.severity, message.remedy) == (KIND, Severity.WARNING, "Look.")
    assert list(message.facts.items()) == [("Users", "3"), ("FLOW", "1.50000000")]
    assert (message.run_id, message.since) == (run_id, message.at)
    world.alerts.sent(first[0])
    (over,) = world.lease(A)
    assert over.message.event is AlertEvent.RESOLVED
    assert over.message.run_id == run_id


def test_a_message_is_one_workers(world: AlertWorld) -> None:
    world.observe(alert("bad"), A, B)
    token = uuid4()
    mine = world.lease(A, token=token)
    assert said(mine) == [(A, AlertEvent.OPENED, "It is bad.", 1)]
    assert world.lease(A, token=token) == mine
    assert said(world.lease(A, B)) == [(B, AlertEvent.OPENED, "It is bad.", 1)]
    assert world.lease(A, B) == []
    world.alerts.sent(mine[0])
    world.alerts.sent(mine[0])
    world.alerts.failed(mine[0], "no", retry_after_s=1)
    assert world.states() == [(B, DeliveryState.PENDING, None), (A, DeliveryState.SENT, None)]


def test_not_more_messages_are_leased_than_asked_for(world: AlertWorld) -> None:
    world.observe(alert("bad"), A, B)
    assert len(world.lease(A, B, limit=1)) == 1


def test_what_failed_comes_again_after_its_time(world: AlertWorld) -> None:
    world.observe(alert("bad"), A)
    (delivery,) = world.lease(A)
    world.alerts.failed(delivery, "no answer", retry_after_s=60)
    assert world.states() == [(A, DeliveryState.PENDING, "no answer")]
    assert world.lease(A) == []
    world.pass_time(61)
    (again,) = world.lease(A)
    assert again.attempt == 2
    world.alerts.failed(again, "no answer", retry_after_s=None)
    assert world.states() == [(A, DeliveryState.GAVE_UP, "no answer")]
    world.pass_time(3_600)
    assert world.lease(A) == []


def test_a_later_message_waits_for_the_earlier_one_of_its_channel(world: AlertWorld) -> None:
    world.observe(alert("bad"), A, B)
    world.observe(None, A, B)
    first = world.lease(A, B)
    assert {each.message.event for each in first} == {AlertEvent.OPENED}
    to_a, to_b = sorted(first, key=lambda each: each.channel, reverse=True)
    world.alerts.sent(to_a)
    world.alerts.failed(to_b, "no answer", retry_after_s=0)
    second = world.lease(A, B)
    assert sorted((each.channel, each.message.event) for each in second) == [
        (B, AlertEvent.OPENED),
        (A, AlertEvent.RESOLVED),
    ]


def test_a_lost_workers_message_goes_to_another_and_is_given_up_in_the_end(
    world: AlertWorld,
) -> None:
    world.observe(alert("bad"), A)
    (lost,) = world.lease(A)
    for attempt in range(2, ATTEMPTS_MAX + 1):
        world.pass_time(LEASE_S + 1)
        assert [each.attempt for each in world.lease(A)] == [attempt]
    world.alerts.sent(lost)
    assert world.states() == [(A, DeliveryState.PENDING, None)]
    world.pass_time(LEASE_S + 1)
    assert world.lease(A) == []
    (given_up,) = world.alerts.list_deliveries(undelivered=True)
    assert (given_up.state, given_up.attempts) == (DeliveryState.GAVE_UP, ATTEMPTS_MAX)
    assert given_up.error


def test_a_message_for_a_channel_that_nobody_has_any_more_is_given_up(world: AlertWorld) -> None:
    world.observe(alert("bad"), A)
    world.pass_time(71 * 3_600)
    world.lease(B)
    assert world.states() == [(A, DeliveryState.PENDING, None)]
    world.pass_time(2 * 3_600)
    world.lease(B)
    assert world.states()[0][1] is DeliveryState.GAVE_UP


def test_undelivered_are_those_that_wait_and_those_lately_given_up(world: AlertWorld) -> None:
    world.observe(alert("bad"), A)
    (delivery,) = world.lease(A)
    world.alerts.failed(delivery, "no answer", retry_after_s=None)
    world.observe(alert("worse"), A)
    listed = world.alerts.list_deliveries(undelivered=True)
    assert [(each.event, each.state) for each in listed] == [
        (AlertEvent.CHANGED, DeliveryState.PENDING),
        (AlertEvent.OPENED, DeliveryState.GAVE_UP),
    ]
    assert listed[0].kind is KIND
    older = world.alerts.list_deliveries(undelivered=True, before=listed[0].delivery_id)
    assert older == listed[1:]
    assert world.alerts.list_deliveries(undelivered=True, limit=1) == listed[:1]
    world.pass_time(8 * 86_400)
    assert [each.event for each in world.alerts.list_deliveries(undelivered=True)] == [
        AlertEvent.CHANGED
    ]


# -- runs -------------------------------------------------------------------------------------


def test_a_run_is_announced_once_with_what_it_drifted_by(world: AlertWorld) -> None:
    candidates = [differing(1, 8), differing(2, 1), differing(3, 6)]
    run_id = correcting(world.runs, *candidates)
    assert world.alerts.unannounced(limit=10) == []
    for lease in leased(world.runs, run_id):
        mine = world.runs.store.list_candidates(lease)
        correct_in_ledger(world.runs, run_id, mine)
        world.runs.store.close_correction(
            lease, [result(each, Outcome.CORRECTED) for each in mine], 1
        )

    (ended,) = world.alerts.unannounced(limit=10)

    assert ended.run == world.runs.store.get_run(run_id)
    assert ended.run.state is RunState.FINISHED
    assert (ended.drift.users, ended.drift.surplus, ended.drift.deficit) == (3, 4, -4)
    assert ended.drift.largest == (
        (user(2), FlowAmount(-4)),
        (user(1), FlowAmount(3)),
        (user(3), FlowAmount(1)),
    )
    held = alert(kind=AlertKind.RUN_DISCREPANCIES)
    observations = {AlertKind.RUN_DISCREPANCIES: held, AlertKind.RUN_FAILED: None}
    assert world.alerts.announce(run_id, observations, channels=[A, B]) == Announced(
        announced=True, deliveries=2
    )
    assert world.alerts.announce(run_id, {KIND: alert()}, channels=[A]) == Announced(
        announced=False
    )
    assert world.alerts.unannounced(limit=10) == []
    (listed,) = world.alerts.list_alerts(open_only=False)
    assert (listed.kind, listed.run_id) == (AlertKind.RUN_DISCREPANCIES, run_id)


def test_runs_come_in_the_order_of_their_ends(world: AlertWorld) -> None:
    first = started(world.runs, users=2)
    scan(world.runs, first)
    world.pass_time(1)
    second = started(world.runs)
    world.runs.store.end_run(second, RunState.CANCELLED)
    ended = world.alerts.unannounced(limit=10)
    assert [each.run.run_id for each in ended] == [first, second]
    assert ended[1].drift.users == 0
    assert [each.run.run_id for each in world.alerts.unannounced(limit=1)] == [first]


def test_a_halted_run_is_announced_with_what_it_left(world: AlertWorld) -> None:
    run_id = started(world.runs, users=2)
    first, *others = leased(world.runs, run_id)
    world.runs.store.close_scan(first, found([differing(1)]))
    for lease in others:
        world.runs.store.close_scan(lease, found())
    world.runs.store.decide(run_id, Halt("most_differ", "1 of 2 users differ", "Look."))
    (ended,) = world.alerts.unannounced(limit=10)
    assert (ended.run.state, ended.drift.users) == (RunState.HALTED, 1)


def test_a_dry_run_an_active_one_and_none_cannot_be_announced(world: AlertWorld) -> None:
    dry = started(world.runs, users=2, dry_run=True)
    scan(world.runs, dry)
    active = started(world.runs)
    assert world.alerts.unannounced(limit=10) == []
    for run_id in (dry, active):
        with pytest.raises(RunNotApplicable):
            world.alerts.announce(run_id, {}, channels=[A])
    with pytest.raises(RunNotFound):
        world.alerts.announce(uuid4(), {}, channels=[A])


# -- the watchdog -----------------------------------------------------------------------------


def test_the_watchdog_is_told_since_when_it_watches_and_when_the_ledger_was_covered(
    world: AlertWorld,
) -> None:
    first = world.alerts.tick()
    assert (first.watched_since, first.covered_at) == (first.now, None)
    run_id = started(world.runs, users=2, covered_height=7)
    scan(world.runs, run_id)
    world.pass_time(3_600)
    later = world.alerts.tick()
    assert later.covered_at == world.runs.store.get_run(run_id).finished_at
    assert timedelta(seconds=3_599) < later.now - later.watched_since < timedelta(seconds=3_660)
