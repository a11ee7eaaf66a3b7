"""`reconcile hold`, `release` and `holds`."""

import json
import sys
from collections.abc import Iterable, Iterator

from shared.cli import exit_code
from shared.cli.commands import HoldUser, ListHolds, ReleaseUser
from shared.cli.output import print_lines, writing
from shared.cli.printable import printable
from shared.cli.render_plain import aligned, words
from shared.cli.services import Holding
from shared.core.hold import Hold, HoldChange
from shared.core.outcome import iso_utc

PAGE_HOLDS = 1_000


def change_hold(command: HoldUser | ReleaseUser, holds: Holding) -> int:
    """Hold or release one user, and print how they stand."""
    if isinstance(command, HoldUser):
        change = holds.hold(command.user, command.admin, command.reason)
    else:
        change = holds.release(command.user, command.admin, command.reason)
    with writing():
        if command.as_json:
            print_lines([json.dumps({"type": "hold_change", **change.as_json()})])
        print_lines(change_lines(change), sys.stderr if command.as_json else sys.stdout)
    return exit_code.FINE


def list_holds(command: ListHolds, holds: Holding) -> int:
    """Everyone who is held, a line each, by address."""
    with writing():
        render = _json if command.as_json else hold_line
        held = 0
        for held, hold in enumerate(_all(holds), 1):  # noqa: B007
            print_lines([render(hold)])
        if not held:
            print("Nobody is held.", file=sys.stderr)
    return exit_code.FINE


def change_lines(change: HoldChange) -> Iterable[str]:
    """A change as a block of `name  value`."""
    fields = [("User", change.user_address), ("Outcome", words(change.outcome))]
    hold = change.hold
    if hold is not None:
        fields.append(("Held", f"{iso_utc(hold.held_at)} by {hold.held_by}"))
        fields.append(("Because", hold.reason))
        if hold.audit_id is not None:
            fields.append(("Rollback", f"audit row {hold.audit_id}"))
        if hold.released_at is not None:
            fields.append(("Released", f"{iso_utc(hold.released_at)} by {hold.released_by}"))
    return aligned(fields)


def hold_line(hold: Hold) -> str:
    """One hold in one line."""
    parts = [hold.user_address, iso_utc(hold.held_at), hold.held_by]
    if hold.audit_id is not None:
        parts.append(f"rollback {hold.audit_id}")
    return "  ".join(printable(part) for part in (*parts, hold.reason))


def _json(hold: Hold) -> str:
    return json.dumps({"type": "hold", **hold.as_json()})


def _all(holds: Holding) -> Iterator[Hold]:
    after = None
    while page := holds.list(after, PAGE_HOLDS):
        yield from page
        if len(page) < PAGE_HOLDS:
            return
        after = page[-1].user_address
