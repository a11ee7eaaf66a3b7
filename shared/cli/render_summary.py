"""A run as a block of `name  value`, and what can be done about one that is not finished."""

from collections.abc import Iterator

from shared.cli.render_plain import aligned, signed, words
from shared.cli.run_errors import accept_command
from shared.core.outcome import Outcome
from shared.core.run import Run, RunKind, RunState


def summary_lines(run: Run) -> Iterator[str]:
    """The counts of a run, then how it stands."""
    fields = [("Run", str(run.run_id) + (" (dry run)" if run.dry_run else ""))]
    if kind := _kind(run):
        fields.append(("Kind", kind))
    fields.append(("Started", f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC by {run.admin_address}"))
    fields.append(("Users", f"{run.users:,}"))
    fields += [(f"  {words(each)}", f"{run.count(each):,}") for each in Outcome]
    fields.append(("Coverage", f"{run.coverage_percent:g} %"))
    fields.append(("Surplus", f"{signed(run.surplus)} FLOW"))
    fields.append(("Deficit", f"{signed(run.deficit)} FLOW"))
    if run.first_height is not None:
        fields.append(("Heights", f"{run.first_height} to {run.last_height}"))
    if run.duration_s is not None:
        fields.append(("Duration", f"{run.duration_s:.1f} s"))
    return aligned(fields + _standing(run))


def _kind(run: Run) -> str | None:
    """None for the kind that needs no words."""
    if run.fallback_reason:
        return f"full, in place of incremental: {run.fallback_reason}"
    if run.kind is RunKind.INCREMENTAL:
        return f"incremental, {_blocks(run)}"
    if run.kind is RunKind.PLAN:
        return f"carries out {run.plan_run_id}"
    return None


def _blocks(run: Run) -> str:
    first, last = run.from_height, run.covered_height
    if first is None or last is None or first > last:
        return "without a new block since the run before"
    return f"with the events of blocks {first} to {last}"


def _standing(run: Run) -> list[tuple[str, str]]:
    """How a run ended that is not simply finished, and the commands that go on from there."""
    fields = []
    if run.halt and run.accepted_halt:
        fields.append(
            ("Overridden", f"{run.halt.explanation}; accepted because: {run.accepted_halt}")
        )
    if run.state is not RunState.FINISHED:
        fields.append((words(run.state).capitalize(), _why(run)))
    if run.is_active and not run.dry_run:
        fields.append(("To go on", "reconcile --all --resume"))
    if run.is_active:
        fields.append(("To end it", f"reconcile runs cancel {run.run_id}"))
    if run.state is RunState.HALTED:
        fields.append(("To accept", accept_command(run)))
    elif _can_be_applied(run):
        fields.append(("To correct", f"reconcile apply {run.run_id}"))
    return fields


def _why(run: Run) -> str:
    match run.state:
        case RunState.HALTED if run.halt:
            return f"nothing was written: {run.halt}"
        case RunState.FAILED:
            return run.error or "no reason was kept"
        case RunState.CORRECTING:
            left = run.count(Outcome.WOULD_CORRECT)
            return f"not finished: {left:,} of {run.candidates:,} discrepancies are undecided"
        case RunState.PLANNING | RunState.SCANNING:
            return "not finished: nothing is written yet"
        case RunState.CANCELLED if run.scanned_at is None:
            return "the scan was stopped early and nothing was written"
        case RunState.CANCELLED:
            return "what was corrected stays corrected"
        case _:
            return "nothing was written"


def _can_be_applied(run: Run) -> bool:
    """Has it found something that it did not write, and ended in a way that leaves it at that?"""
    if run.scanned_at is None or not run.count(Outcome.WOULD_CORRECT):
        return False
    if run.state is RunState.FINISHED:
        return run.dry_run
    return run.state in (RunState.DECLINED, RunState.CANCELLED, RunState.AWAITING_APPROVAL)
