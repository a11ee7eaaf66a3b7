"""Readable lines without colour or wrapping: for pipes, log files and narrow terminals."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from shared.cli.printable import printable
from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import Outcome, ReconciliationResult


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
    fields = [("User", result.user_address), ("Outcome", words(result.outcome))]
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
    return aligned(fields)


def failure_lines(results: Iterable[ReconciliationResult]) -> Iterator[str]:
    """Each error code once: how many users have it, and what it said about the first."""
    counts: Counter[str] = Counter()
    firsts: dict[str, ReconciliationResult] = {}
    for result in results:
        if result.outcome is Outcome.FAILED:
            code = result.error_code or ""
            counts[code] += 1
            firsts.setdefault(code, result)
    for code, first in firsts.items():
        yield (
            f"{counts[code]:,} failed with {printable(code)}, such as "
            f"{printable(first.user_address)}: {printable(first.error or '')}"
        )


def aligned(fields: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in fields)
    return (f"{name:<{width}}  {printable(value)}" for name, value in fields)


def words(value: StrEnum) -> str:
    """An outcome or a state for people."""
    return str(value).replace("_", " ")


def _reason(result: ReconciliationResult) -> str:
    parts = (printable(part) for part in (result.error_code, result.error) if part)
    return ": ".join(parts)
