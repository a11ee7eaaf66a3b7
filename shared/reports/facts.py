"""What a report says before its rows, as sections of labelled facts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.core.amount import FlowAmount, format_amount
from shared.core.audit_row import AuditTotal
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.report import PeriodReport, Report, RunReport, UserReport
from shared.core.run import Run
from shared.core.solvency import SolvencyCheck
from shared.reports.sums import Group, Sums


@dataclass(frozen=True, slots=True)
class Fact:
    """A label with a text, or with a number, an amount of FLOW, or both."""

    label: str
    text: str | None = None
    count: int | None = None
    amount: FlowAmount | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Facts under one heading."""

    title: str
    facts: tuple[Fact, ...]


def sections(report: Report, sums: Sums) -> Iterator[Section]:
    """The sections of a report, in order."""
    if isinstance(report, RunReport):
        yield _section("Users, and their net discrepancy", _outcomes(report, sums.groups))
        yield _section("Discrepancies that the scan found", _found(report.run))
        yield _section("Run", _run(report.run))
        yield _section("Solvency", _solvency(report.solvency))
    elif isinstance(report, PeriodReport):
        yield _section("Runs that started in the period", _runs(report))
        yield _section("All rows of the audit log, by operation", _totals(report))
        yield _section("Solvency", _solvency(report.solvency))
    else:
        yield _section("User", _user(report))
        yield _section("Audit rows, by operation", _groups(sums.groups))
    yield _section("This report", _about(report, sums))


def _section(title: str, facts: Iterable[Fact]) -> Section:
    return Section(title, tuple(facts))


def _outcomes(report: RunReport, groups: Mapping[str, Group]) -> Iterator[Fact]:
    run = report.run
    for outcome in Outcome:
        group = groups.get(str(outcome))
        # In sync: nobody of them is listed, and what is below the tolerance is not kept.
        net = group.net if group and group.rows > group.unsummed else None
        yield Fact(words(outcome).capitalize(), count=run.count(outcome), amount=net)
    yield Fact("Looked at", count=run.users)
    yield Fact("Rolled back since", count=report.rolled_back)


def _found(run: Run) -> Iterator[Fact]:
    yield Fact("Contract above ledger", amount=run.surplus)
    yield Fact("Contract below ledger", amount=run.deficit)
    yield Fact("Net", amount=FlowAmount(run.surplus + run.deficit))


def _run(run: Run) -> Iterator[Fact]:
    mode = "dry run" if run.dry_run else "corrects"
    yield Fact("Run", f"{run.run_id} ({run.kind}, {mode})")
    yield Fact("State", words(run.state))
    yield Fact("Started", f"{moment(run.started_at)} by {run.admin_address}")
    if run.finished_at is not None:
        yield Fact("Ended", f"{moment(run.finished_at)}, after {run.duration_s:,.1f} s")
    yield Fact("Coverage", f"{run.coverage_percent:g} % of those looked at could be compared")
    if run.first_height is not None:
        yield Fact("Block heights", f"{run.first_height} to {run.last_height}")
    if run.halt:
        yield Fact("Safety stop", str(run.halt))
    if run.accepted_halt:
        yield Fact("Overridden because", run.accepted_halt)
    if run.fallback_reason:
        yield Fact("Full because", run.fallback_reason)
    if run.error:
        yield Fact("Error", f"{run.error_code}: {run.error}")


def _runs(report: PeriodReport) -> Iterator[Fact]:
    listed = report.runs
    writing = [run for run in listed if not run.dry_run]
    yield Fact("Runs", count=len(listed))
    yield Fact("  of these dry runs", count=len(listed) - len(writing))
    yield Fact("Users looked at", count=sum(run.users for run in listed))
    yield Fact("Users corrected", count=sum(run.count(Outcome.CORRECTED) for run in listed))
    yield Fact("Users failed", count=sum(run.count(Outcome.FAILED) for run in listed))
    yield Fact("Rolled back since, of the last run", count=report.rolled_back)
    yield Fact(
        "Contract above ledger, found by runs that correct",
        amount=FlowAmount(sum(run.surplus for run in writing)),
    )
    yield Fact(
        "Contract below ledger, found by runs that correct",
        amount=FlowAmount(sum(run.deficit for run in writing)),
    )


def _totals(report: PeriodReport) -> Iterator[Fact]:
    if not report.totals:
        yield Fact("Rows", count=0)
    for total in report.totals:
        yield from _operation(total.operation_type, total)


def _groups(groups: Mapping[str, Group]) -> Iterator[Fact]:
    if not groups:
        yield Fact("Rows", count=0)
    for name, group in sorted(groups.items()):
        yield from _operation(name, group)


def _operation(name: str, sums: AuditTotal | Group) -> Iterator[Fact]:
    yield Fact(name, count=sums.rows, amount=sums.net)
    if sums.increase and sums.decrease:
        yield Fact("  increases", amount=sums.increase)
        yield Fact("  decreases", amount=sums.decrease)
    if sums.unsummed:
        yield Fact("  of them without an exact amount", count=sums.unsummed)


def _solvency(check: SolvencyCheck | None) -> Iterator[Fact]:
    if check is None:
        yield Fact("Latest check", "none is stored")
        return
    confirmed = ", confirmed" if check.confirmed else ""
    yield Fact("Latest check", f"{moment(check.checked_at)}: {words(check.state)}{confirmed}")
    if check.error:
        yield Fact("Error", f"{check.error_code}: {check.error}")
    if check.ledger_total is None:
        return
    yield Fact("At block height", str(check.block_height))
    yield Fact("Ledger (users, total)", count=check.ledger_users, amount=check.ledger_total)
    yield Fact("Vault", amount=check.vault_balance)
    yield Fact("Vault above ledger", amount=check.difference)
    yield Fact("Contract's own total", amount=check.contract_total)
    yield Fact("Contract's total above ledger", amount=check.contract_difference)


def _user(report: UserReport) -> Iterator[Fact]:
    now: ReconciliationResult = report.standing
    yield Fact("Address", report.user_address)
    yield Fact("Ledger", amount=now.old_balance)
    yield Fact("Contract", amount=now.new_balance)
    yield Fact("Contract above ledger", amount=now.discrepancy)
    if now.block_height is not None:
        yield Fact("At block height", str(now.block_height))
    if now.error:
        yield Fact("Error", f"{now.error_code}: {now.error}")


def _about(report: Report, sums: Sums) -> Iterator[Fact]:
    yield Fact("Made", f"{moment(report.made_at)} by {report.made_by}")
    yield Fact("Rows", count=len(report.rows))
    yield Fact("SHA-256 of its CSV", sums.sha256)


def words(name: str) -> str:
    """An outcome or a state for people."""
    return str(name).replace("_", " ")


def moment(at: datetime) -> str:
    """A time for people."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def grouped(amount: FlowAmount) -> str:
    """FLOW with 8 places and commas: for sums, which nobody copies into a program."""
    whole, _, fraction = format_amount(FlowAmount(abs(amount))).partition(".")
    return f"{'-' if amount < 0 else ''}{int(whole):,}.{fraction}"
