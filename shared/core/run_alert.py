"""What a run that has ended says of the conditions that people are told of. One message a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.core.alert import Alert, AlertKind, Severity
from shared.core.amount import UNITS_PER_FLOW, ZERO, FlowAmount, format_amount
from shared.core.outcome import Outcome
from shared.core.run import Run, RunKind, RunState

Observations = Mapping[AlertKind, Alert | None]
"""What holds, and (None) what is over; a kind that is not in it is as it was."""

_HUNDRED_FLOW = FlowAmount(100 * UNITS_PER_FLOW)
_DIFFERING = (Outcome.WOULD_CORRECT, Outcome.CHANGED_MEANWHILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLimits:
    """From when on drift is worth telling, and worth waking somebody. Amounts in units of 1e-8.

    Drift below `min_flow` that was corrected is not told; from `critical_flow` on, or if more than
    `critical_share` of the users (0 to 1) drifted, it is critical.
    """

    min_flow: FlowAmount = ZERO
    critical_flow: FlowAmount = _HUNDRED_FLOW
    critical_share: float = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What the users were off by whom a run corrected or left as they were.

    `surplus` sums the positive discrepancies (contract minus ledger), `deficit` the negative ones.
    `largest` are a few of the users, with their discrepancies, the greatest first.
    """

    users: int = 0
    surplus: FlowAmount = ZERO
    deficit: FlowAmount = ZERO
    largest: tuple[tuple[str, FlowAmount], ...] = ()

    @property
    def total(self) -> FlowAmount:
        """Both sides together, as a positive amount."""
        return FlowAmount(self.surplus - self.deficit)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """A run that may write and has ended, to be announced."""

    run: Run
    drift: Drift = field(default_factory=Drift)


def observations_of(ended: EndedRun, limits: AlertLimits) -> Observations:
    """At most one of them holds, so that a run is one message.

    A run that finished shows that nothing halts or fails any more. That nobody is out of sync is
    shown by a run that looked for it, not by the corrections of a plan.
    """
    run = ended.run
    match run.state:
        case RunState.HALTED:
            return {AlertKind.RUN_HALTED: _halted(ended)}
        case RunState.FAILED:
            return {AlertKind.RUN_FAILED: _failed(ended, limits)}
        case RunState.CANCELLED:
            return {AlertKind.RUN_FAILED: _failed(ended, limits)} if run.error_code else {}
        case RunState.DECLINED:
            return {AlertKind.RUN_DISCREPANCIES: _discrepancies(ended, limits)}
        case RunState.FINISHED:
            return _of_finished(ended, limits)
    return {}


def _of_finished(ended: EndedRun, limits: AlertLimits) -> Observations:
    run = ended.run
    if _given_up(run):
        return {AlertKind.RUN_HALTED: None, AlertKind.RUN_FAILED: _gave_up(ended, limits)}
    found = _discrepancies(ended, limits)
    over: Observations = {AlertKind.RUN_HALTED: None, AlertKind.RUN_FAILED: None}
    if found is None and run.kind is RunKind.PLAN:
        return over
    return {**over, AlertKind.RUN_DISCREPANCIES: found}


def _halted(ended: EndedRun) -> Alert:
    run = ended.run
    reason = "unknown" if run.halt is None else run.halt.reason
    why = "it gave no reason" if run.halt is None else run.halt.explanation
    return Alert(
        kind=AlertKind.RUN_HALTED,
        severity=Severity.CRITICAL,
        state=reason,
        summary=f"The safety stop halted a run, and nothing was written: {why}.",
        remedy="Look at the run." if run.halt is None else run.halt.remedy,
        facts=_facts(ended),
    )


def _failed(ended: EndedRun, limits: AlertLimits) -> Alert:
    run = ended.run
    written = run.count(Outcome.CORRECTED)
    kept = "nothing was written" if not written else f"{_users(written)} corrected before that"
    return Alert(
        kind=AlertKind.RUN_FAILED,
        severity=_severity(ended, limits),
        state=_state_of(ended, run.error_code or "unknown"),
        summary=f"A run ended by an error ({run.error_code or 'no code'}); {kept}.",
        remedy="See its error. What was corrected stays corrected, and the next run looks at the "
        "others again; if that one fails too, do as the runbook says.",
        facts={"Error": run.error or "none was given", **_facts(ended)},
    )


def _gave_up(ended: EndedRun, limits: AlertLimits) -> Alert:
    run = ended.run
    given_up = _given_up(run)
    chunks = "1 chunk" if given_up == 1 else f"{given_up:,} chunks"
    return Alert(
        kind=AlertKind.RUN_FAILED,
        severity=_severity(ended, limits),
        state=_state_of(ended, "chunk_gave_up"),
        summary=f"A run gave up {chunks} after repeated failures; "
        f"{_users(run.count(Outcome.FAILED))} not reconciled.",
        remedy=f"See why these users failed (`reconcile runs show {run.run_id}`); the next run "
        "looks at them again.",
        facts=_facts(ended),
    )


def _discrepancies(ended: EndedRun, limits: AlertLimits) -> Alert | None:
    """None when there is nothing to tell: all in sync, or corrected and below the limit."""
    run, drift = ended.run, ended.drift
    corrected, differing = run.count(Outcome.CORRECTED), run.count(*_DIFFERING)
    failed = run.count(Outcome.FAILED)
    if not (differing or failed) and (not corrected or drift.total < limits.min_flow):
        return None
    told = [f"{_users(corrected)} corrected"] if corrected else []
    told += [f"{_users(differing)} not corrected"] if differing else []
    told += [f"{_users(failed)} not read or not written"] if failed else []
    return Alert(
        kind=AlertKind.RUN_DISCREPANCIES,
        severity=_severity(ended, limits),
        state=_state_of(ended, f"differing {differing}, failed {failed}"),
        summary=f"{_off_by(drift)}: {', '.join(told)}.",
        remedy=_remedy(run, differing=differing, failed=failed),
        facts=_facts(ended),
    )


def _off_by(drift: Drift) -> str:
    if not drift.users:
        return "A run could not settle everyone"
    return f"The ledger was off by {format_amount(drift.total)} FLOW"


def _remedy(run: Run, *, differing: int, failed: int) -> str:
    show = f"`reconcile runs show {run.run_id}`"
    if failed:
        return f"See why these users failed ({show}); the next run looks at them again."
    if differing:
        return f"See who they are ({show}); the next run corrects them if they still differ."
    return (
        "The ledger is right again. Look for the cause: an event that the app lost, applied twice, "
        "or a row that somebody edited."
    )


def _state_of(ended: EndedRun, left: str) -> str:
    """What was corrected is news each time; what is only left as it was, once."""
    if ended.run.count(Outcome.CORRECTED):
        return f"run {ended.run.run_id}"
    return f"{left}, drift {format_amount(ended.drift.total)}"


def _severity(ended: EndedRun, limits: AlertLimits) -> Severity:
    run, drift = ended.run, ended.drift
    if drift.users and drift.total >= limits.critical_flow:
        return Severity.CRITICAL
    # As for the safety stop: of a few users a share says nothing.
    enough = run.users >= run.policy.halt_min_users
    if enough and drift.users > limits.critical_share * run.users:
        return Severity.CRITICAL
    return Severity.WARNING


def _given_up(run: Run) -> int:
    return run.scan.failed + run.correct.failed


def _facts(ended: EndedRun) -> dict[str, str]:
    run, drift = ended.run, ended.drift
    facts = {"Users looked at": f"{run.users:,}"}
    facts |= {
        str(outcome).replace("_", " ").capitalize(): f"{count:,}"
        for outcome, count in run.outcomes.items()
        if count and outcome is not Outcome.IN_SYNC
    }
    if drift.users:
        facts["Share"] = f"{100 * drift.users / max(run.users, 1):.2f} % of the users"
        facts["Ledger too low by"] = f"{format_amount(drift.surplus)} FLOW"
        facts["Ledger too high by"] = f"{format_amount(FlowAmount(-drift.deficit))} FLOW"
        facts["Largest"] = ", ".join(
            f"{user} {format_amount(discrepancy)}" for user, discrepancy in drift.largest
        )
    if run.last_height is not None:
        facts["Block"] = f"{run.last_height}"
    facts["Who"] = run.admin_address
    return facts


def _users(count: int) -> str:
    return "1 user" if count == 1 else f"{count:,} users"
