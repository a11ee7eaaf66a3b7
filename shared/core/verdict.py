"""Are we whole? One sentence, from a run, the latest solvency check, or a user's two balances."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import PeriodReport, Report, RunReport
from shared.core.run import Run, RunKind, RunState
from shared.core.solvency import SolvencyCheck, SolvencyState


class VerdictState(StrEnum):
    """In the order in which one outweighs another."""

    WHOLE = "whole"
    UNKNOWN = "unknown"
    NOT_WHOLE = "not_whole"


_WEIGHTS = tuple(VerdictState)
_HEADS = {
    VerdictState.WHOLE: "Whole",
    VerdictState.UNKNOWN: "Not known",
    VerdictState.NOT_WHOLE: "Not whole",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`text` is one sentence that begins with the state."""

    state: VerdictState
    text: str

    def as_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {"state": str(self.state), "text": self.text}


_Part = tuple[VerdictState, str]


def verdict(report: Report) -> Verdict:
    """The answer that a report begins with."""
    if isinstance(report, RunReport):
        return _joined([_of_run(report.run, report.rolled_back), _of_vault(report.solvency)])
    if isinstance(report, PeriodReport):
        return _joined([_of_runs(report.runs, report.rolled_back), _of_vault(report.solvency)])
    return _joined([_of_user(report.standing)])


def _joined(parts: Sequence[_Part]) -> Verdict:
    state = max((part[0] for part in parts), key=_WEIGHTS.index)
    return Verdict(state, f"{_HEADS[state]}: {'; '.join(part[1] for part in parts)}.")


def _of_run(run: Run, rolled_back: int) -> _Part:
    if run.state is RunState.HALTED:
        return VerdictState.UNKNOWN, (
            f"the safety stop ended the run before it wrote anything, {run.candidates:,} of "
            f"{run.users:,} users differ"
        )
    if faults := list(_faults(run, rolled_back)):
        return VerdictState.NOT_WHOLE, " and ".join(faults)
    if not run.complete:
        return VerdictState.UNKNOWN, f"the run has looked at {run.users:,} users and {_ended(run)}"
    if failed := run.count(Outcome.FAILED):
        return VerdictState.UNKNOWN, (
            f"{failed:,} of {run.users:,} users could not be compared or corrected"
        )
    if not run.users:
        return VerdictState.WHOLE, "there was no user to look at"
    looked_at = "" if run.kind is RunKind.FULL else " that the run looked at"
    # The lowest block: who was read there may have moved before the last ones were.
    until = "" if run.first_height is None else f" up to block {run.first_height}"
    return VerdictState.WHOLE, (
        f"all {run.users:,} users{looked_at} agreed with the contract{until}"
    )


def _faults(run: Run, rolled_back: int) -> Iterator[str]:
    if differing := run.unresolved + run.count(Outcome.HELD):
        yield f"{differing:,} of {run.users:,} users still differ"
    if rolled_back:
        were = "correction of this run was" if rolled_back == 1 else "corrections of this run were"
        yield f"{rolled_back:,} {were} rolled back since"


def _ended(run: Run) -> str:
    return "is not finished" if run.is_active else f"is {str(run.state).replace('_', ' ')}"


def _of_runs(runs: Sequence[Run], rolled_back: int) -> _Part:
    if not runs:
        return VerdictState.UNKNOWN, "no run started in this period"
    state, text = _of_run(runs[-1], rolled_back)
    return state, f"by the last run of the period, {text}"


def _of_vault(check: SolvencyCheck | None) -> _Part:
    if check is None:
        return VerdictState.UNKNOWN, "no solvency check is stored"
    if check.state is SolvencyState.UNREADABLE:
        return VerdictState.UNKNOWN, "the latest solvency check could not read both sides"
    if check.state is SolvencyState.SOLVENT:
        return VerdictState.WHOLE, "the vault covers the ledger"
    return VerdictState.NOT_WHOLE if check.confirmed else VerdictState.UNKNOWN, _mismatch(check)


def _mismatch(check: SolvencyCheck) -> str:
    unconfirmed = "" if check.confirmed else ", not confirmed yet"
    if check.state is SolvencyState.SURPLUS:
        text = f"the vault holds {_size(check.difference)} FLOW more than the ledger"
    elif check.state is SolvencyState.DEFICIT:
        text = f"the vault holds {_size(check.difference)} FLOW less than the ledger"
    elif check.state is SolvencyState.CONTRACT_MISMATCH:
        text = f"the contract's total is {_size(check.contract_difference)} FLOW off the ledger's"
    else:
        text = "the vault holds less than the contract owes its users"
    return text + unconfirmed


def _of_user(standing: ReconciliationResult) -> _Part:
    at = f" at height {standing.block_height}"
    if standing.outcome is Outcome.FAILED:
        return VerdictState.UNKNOWN, f"the two balances cannot be compared ({standing.error_code})"
    if standing.outcome is Outcome.IN_SYNC:
        return VerdictState.WHOLE, f"the ledger agrees with the contract{at}"
    discrepancy = standing.discrepancy or FlowAmount(0)
    side = "more" if discrepancy > 0 else "less"
    held = ", and the user is held" if standing.outcome is Outcome.HELD else ""
    return VerdictState.NOT_WHOLE, (
        f"the contract holds {_size(discrepancy)} FLOW {side} than the ledger{at}{held}"
    )


def _size(amount: FlowAmount | None) -> str:
    return "an unknown amount of" if amount is None else format_amount(FlowAmount(abs(amount)))
