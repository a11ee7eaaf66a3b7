"""Rollbacks for people: what became, or would become, of corrections that are taken back."""

from collections.abc import Iterator

from shared.cli.printable import printable
from shared.cli.render_plain import aligned, signed, words
from shared.core.amount import format_amount
from shared.core.rollback import Rollback, RollbackOutcome, RunRollback


def rollback_lines(rollback: Rollback) -> Iterator[str]:
    """One correction as a block of `name  value`."""
    fields = [("Audit row", rollback.audit_id), ("Outcome", words(rollback.outcome))]
    if rollback.user_address is not None:
        fields.insert(1, ("User", rollback.user_address))
    if rollback.old_balance is not None:
        fields.append(("It wrote", f"{format_amount(rollback.old_balance)} FLOW"))
    if rollback.new_balance is not None:
        fields.append(("It had found", f"{format_amount(rollback.new_balance)} FLOW"))
    if rollback.amount is not None and rollback.code is None:
        fields.append(("Moves", f"{signed(rollback.amount)} FLOW"))
    if rollback.rollback_audit_id is not None:
        fields.append(("Taken back by", f"audit row {rollback.rollback_audit_id}"))
    if rollback.code is not None:
        fields.append(("Error", f"{rollback.code}: {rollback.error}"))
    return aligned(fields)


def run_rollback_lines(rollback: RunRollback) -> Iterator[str]:
    """The counts of a run's rollback, then each reason for a refusal once."""
    fields = [("Run", str(rollback.run_id) + (" (dry run)" if rollback.dry_run else ""))]
    fields.append(("Corrections", f"{rollback.corrections:,}"))
    fields += [
        (f"  {words(outcome)}", f"{rollback.outcomes[outcome]:,}")
        for outcome in RollbackOutcome
        if outcome is not _other_mode(rollback)
    ]
    fields.append(
        ("Would move" if rollback.dry_run else "Moved", f"{signed(rollback.amount)} FLOW")
    )
    if not rollback.complete:
        fields.append(("Not finished", "the same command again goes on"))
    yield from aligned(fields)
    yield from refusal_lines(rollback)
    if rollback.outcomes[RollbackOutcome.ROLLED_BACK]:
        yield "Who was rolled back is held until: reconcile release USER"


def refusal_lines(rollback: RunRollback) -> Iterator[str]:
    """Each code once: how many corrections have it, and one of them."""
    for code, count in sorted(rollback.refused_codes.items()):
        first = next((each for each in rollback.refused if each.code == code), None)
        line = f"{count:,} refused with {printable(code)}"
        if first is not None and first.user_address is not None:
            line += f", such as {printable(first.user_address)}: {first.error}"
        yield line


def _other_mode(rollback: RunRollback) -> RollbackOutcome:
    if rollback.dry_run:
        return RollbackOutcome.ROLLED_BACK
    return RollbackOutcome.WOULD_ROLL_BACK
