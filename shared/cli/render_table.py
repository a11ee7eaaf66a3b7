"""The table for people at a terminal."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from shared.cli.printable import printable
from shared.cli.render_plain import result_line, signed, words
from shared.cli.tables import Column, first_that_fits, table
from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import Outcome, ReconciliationResult

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

ROWS_MAX = 50
"""On screen; --csv and --json have no limit."""

_STYLES = {
    Outcome.CORRECTED: "green",
    Outcome.WOULD_CORRECT: "yellow",
    Outcome.TRANSIENT: "dim",
    Outcome.CHANGED_MEANWHILE: "yellow",
    Outcome.HELD: "yellow",
    Outcome.FAILED: "red",
}


def print_table(results: Sequence[ReconciliationResult], stream: TextIO) -> None:
    """Print everyone not in sync, up to ROWS_MAX, and say how many more there are."""
    from rich.console import Console

    if not results:
        return
    console = Console(file=stream, highlight=False)
    shown = list(islice(results, ROWS_MAX))
    # Contract = ledger + discrepancy, so that column can go.
    fitting = first_that_fits(
        (_table(shown, with_contract=each) for each in (True, False)), console
    )
    if fitting:
        console.print(fitting)
    else:
        for result in shown:
            print(result_line(result), file=stream)
    more = len(results) - len(shown)
    if more:
        print(
            f"… and {more:,} more, not shown: reconcile runs show RUN --csv FILE gives all",
            file=stream,
        )
    print(file=stream)


def _table(shown: Sequence[ReconciliationResult], *, with_contract: bool) -> "Table":
    columns: list[Column] = [("User", "left"), ("Outcome", "left"), ("Ledger", "right")]
    if with_contract:
        columns.append(("Contract", "right"))
    columns.append(("Discrepancy", "right"))
    return table(columns, (_cells(result, with_contract=with_contract) for result in shown))


def _cells(result: ReconciliationResult, *, with_contract: bool) -> "Iterator[Text]":
    from rich.text import Text

    yield Text(printable(result.user_address))
    yield Text(words(result.outcome), style=_STYLES.get(result.outcome, ""))
    yield Text(_amount(result.old_balance, format_amount))
    if with_contract:
        yield Text(_amount(result.new_balance, format_amount))
    yield Text(_amount(result.discrepancy, signed))


def _amount(amount: FlowAmount | None, write: Callable[[FlowAmount], str]) -> str:
    return "—" if amount is None else write(amount)
