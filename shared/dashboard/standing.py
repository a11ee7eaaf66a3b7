"""What a run's state means, in a sentence for people."""

from shared.core.outcome import Outcome
from shared.core.run import Run, RunKind, RunState


def standing(run: Run) -> str:
    """How the run stands, and what was written."""
    match run.state:
        case RunState.PLANNING:
            return "It is being planned. Nothing is written yet."
        case RunState.SCANNING:
            return "It compares both balances of each user. Nothing is written yet."
        case RunState.AWAITING_APPROVAL:
            return "The scan is over. Somebody has to allow the corrections; nothing is written."
        case RunState.HALTED:
            return "The safety stop ended it. Nothing was written."
        case RunState.CORRECTING:
            left, all_of_them = run.count(Outcome.WOULD_CORRECT), run.candidates
            return f"It corrects: {left:,} of {all_of_them:,} discrepancies are undecided."
        case RunState.FINISHED:
            return _finished(run)
        case RunState.DECLINED:
            return "Somebody declined the corrections. Nothing was written."
        case RunState.CANCELLED if run.scanned_at is None:
            return "It was stopped while it scanned. Nothing was written."
        case RunState.CANCELLED:
            return "It was stopped. What it had corrected by then stays corrected."
        case RunState.FAILED:
            return "An error ended it. What it had corrected by then stays corrected."


def mode(run: Run) -> str:
    """Whom it looks at, and whether it writes."""
    kinds = {
        RunKind.FULL: "everyone",
        RunKind.INCREMENTAL: "whom events name, and a part of the others",
        RunKind.PLAN: "whom an earlier run found",
    }
    return f"{'Dry run' if run.dry_run else 'Apply'}, {kinds[run.kind]}"


def _finished(run: Run) -> str:
    if run.dry_run:
        return "It looked at everyone it was to look at. It was a dry run: nothing was written."
    return "It looked at everyone it was to look at, and corrected what it found."
