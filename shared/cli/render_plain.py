"""Readable lines without colour or wrapping: for pipes, log files and narrow terminals."""

from collections.abc import Iterator, Sequence

from shared.cli.printable import printable
from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import Outcome, ReconciliationResult
from shared.core.sweep_result import SweepSummary


def signed(amount: FlowAmount) -> str:
    """A difference with its sign, such as `+0.50000000`."""
    return ("+" if amount > 0 else "") + format_amount(amount)


def result_line(result: ReconciliationResult) -> str:
    """One user in one line; the address is never cut."""
    parts = [printable(result.user_address), str(result.outcome)]
    if result.discrepancy is not None:
        parts.append(signed(result.discrepancy))
    if result.old_balance is not None:
        parts.append(f"ledger {format_amount(result.old_balance)}")
    if result.new_balance is not None:
        parts.append(f"contract {format_amount(result.new_balance)}")
    if result.block_height is not None:
        parts.append(f"height {result.block_height}")
    if result.error_code or result.error:
        parts.append(_reason(result))
    return "  ".join(parts)


def user_lines(result: ReconciliationResult) -> Iterator[str]:
    """One user as a block of `name  value`."""
    fields = [("User", result.user_address), ("Outcome", _words(result.outcome))]
    if result.old_balance is not None:
        fields.append(("Ledger", f"{format_amount(result.old_balance)} FLOW"))
    if result.new_balance is not None:
        fields.append(("Contract", f"{format_amount(result.new_balance)} FLOW"))
    if result.discrepancy is not None:
        fields.append(("Discrepancy", f"{signed(result.discrepancy)} FLOW"))
    if result.block_height is not None:
        fields.append(("Height", str(result.block_height)))
    if result.audit_id is not None:
        fields.append(("Audit row", result.audit_id))
    if result.error_code or result.error:
        fields.append(("Error", _reason(result)))
    return _aligned(fields)


def failure_lines(results: Sequence[ReconciliationResult]) -> Iterator[str]:
    """Each error code once: how many users have it, and what it said about the first."""
    by_code: dict[str, list[ReconciliationResult]] = {}
    for result in results:
        if result.outcome is Outcome.FAILED:
            by_code.setdefault(result.error_code or "", []).append(result)
    for code, of_code in by_code.items():
        first = of_code[0]
        yield (
            f"{len(of_code):,} failed with {printable(code)}, such as "
            f"{printable(first.user_address)}: {printable(first.error or '')}"
        )


def summary_lines(summary: SweepSummary) -> Iterator[str]:
    """A run as a block of `name  value`."""
    fields = [("Run", summary.run_id + (" (dry run)" if summary.dry_run else ""))]
    fields.append(("Users", f"{summary.users:,}"))
    fields += [(f"  {_words(each)}", f"{summary.count(each):,}") for each in Outcome]
    fields.append(("Surplus", f"{signed(summary.surplus)} FLOW"))
    fields.append(("Deficit", f"{signed(summary.deficit)} FLOW"))
    if summary.first_height is not None:
        fields.append(("Heights", f"{summary.first_height} to {summary.last_height}"))
    fields.append(("Duration", f"{summary.duration_s:.1f} s"))
    if summary.halt:
        fields.append(("Halted", f"nothing was written: {summary.halt}"))
    if summary.interrupted:
        fields.append(("Interrupted", "the scan was stopped early and nothing was written"))
    if summary.error:
        fields.append(("Error", str(summary.error)))
    return _aligned(fields)


def _aligned(fields: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in fields)
    return (f"{name:<{width}}  {printable(value)}" for name, value in fields)


def _words(outcome: Outcome) -> str:
    return str(outcome).replace("_", " ")


def _reason(result: ReconciliationResult) -> str:
    parts = (printable(part) for part in (result.error_code, result.error) if part)
    return ": ".join(parts)
