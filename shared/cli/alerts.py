"""`reconcile alerts` and `reconcile alerts test`."""

import json
import sys
from collections.abc import Iterator

from shared.cli import exit_code
from shared.cli.commands import ListAlerts, TryAlerts
from shared.cli.output import print_lines, writing
from shared.cli.printable import printable
from shared.cli.services import Alerting, RememberingAlerts
from shared.core.alert_message import DeliveryState, StoredAlert, StoredDelivery
from shared.core.errors import InvalidSettings

LISTED_MAX = 50


def list_alerts(command: ListAlerts, store: RememberingAlerts) -> int:
    """What holds, or with --all what held lately too, and the messages that did not go out."""
    alerts = store.list_alerts(open_only=not command.all, limit=LISTED_MAX)
    undelivered = store.list_deliveries(undelivered=True, limit=LISTED_MAX)
    with writing():
        if command.as_json:
            print_lines(json.dumps(alert.as_json()) for alert in alerts)
            print_lines(json.dumps(delivery.as_json()) for delivery in undelivered)
            return exit_code.FINE
        for alert in alerts:
            print_lines(_alert_lines(alert))
        if not alerts:
            print("No alert is open." if not command.all else "There was none.", file=sys.stderr)
        if undelivered:
            print_lines(["Not delivered:", *map(_delivery_line, undelivered)])
    return exit_code.FINE


def try_alerts(command: TryAlerts, alerter: Alerting) -> int:
    """Send a test through every channel, and say of each whether it went."""
    if not alerter.channels:
        raise InvalidSettings(
            "no channel is set, so there is nobody to tell",
            remedy="Set RECONCILE_ALERT_URLS or RECONCILE_ALERT_TOPIC_ARN.",
        )
    tried = alerter.test()
    with writing():
        for channel, fault in tried.items():
            if command.as_json:
                print_lines([json.dumps({"channel": channel, "error": fault})])
            else:
                print_lines([f"{channel}  {'sent' if fault is None else printable(fault)}"])
    return exit_code.FINE if not any(tried.values()) else exit_code.FAILED


def _alert_lines(alert: StoredAlert) -> Iterator[str]:
    until = "" if alert.resolved_at is None else f", until {alert.resolved_at:%Y-%m-%d %H:%M} UTC"
    yield (
        f"{str(alert.severity).upper()}  {alert.kind}  since {alert.opened_at:%Y-%m-%d %H:%M} UTC"
        f"{until}, seen {'once' if alert.times == 1 else f'{alert.times:,} times'}"
    )
    yield f"  {printable(alert.summary)}"
    for label, value in alert.facts.items():
        yield f"  {printable(label)}: {printable(value)}"
    if alert.run_id is not None:
        yield f"  Run: {alert.run_id}"
    if alert.is_open:
        yield f"  What to do: {printable(alert.remedy)}"
        yield f"  Runbook: docs/runbook.md#{alert.kind}"


def _delivery_line(delivery: StoredDelivery) -> str:
    since = f"{delivery.created_at:%Y-%m-%d %H:%M} UTC"
    what = f"  {delivery.channel}  {delivery.kind} {delivery.event}  {since}"
    why = "" if delivery.error is None else f": {printable(delivery.error)}"
    if delivery.state is DeliveryState.GAVE_UP:
        return f"{what}  given up after {delivery.attempts} attempts{why}"
    if not delivery.attempts:
        return f"{what}  waits to be sent"
    return f"{what}  attempt {delivery.attempts} failed, next {delivery.next_at:%H:%M} UTC{why}"
