"""The table for people at a terminal."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal, TextIO

from shared.cli.printable import printable
from shared.cli.render_plain import result_line, signed
from shared.core.amount import FlowAmount, format_amount
from shared.core.outcome import Outcome, ReconciliationResult

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ROWS_MAX = 50
"""On screen; --csv and --json have no limit."""

_STYLES = {
    Outcome.CORRECTED: "green",
    Outcome.WOULD_CORRECT: "yellow",
    Outcome.TRANSIENT: "dim",
    Outcome.CHANGED_MEANWHILE: "yellow",
    Outcome.FAILED: "red",
}


def print_table(results: Sequence[ReconciliationResult], stream: TextIO) -> None:
    """Print everyone not in sync, up to ROWS_MAX, and say how many more there are."""
    from rich.console import Console

    if not results:
        return
    console = Console(file=stream, highlight=False)
    shown = list(islice(results, ROWS_MAX))
    table = _widest_that_fits(shown, console)
    if table:
        console.print(table)
    else:
        for result in shown:
            print(result_line(result), file=stream)
    more = len(results) - len(shown)
    if more:
        print(f"… and {more:,} more, not shown: --csv FILE or --json give all", file=stream)
    print(file=stream)


def _widest_that_fits(shown: Sequence[ReconciliationResult], console: "Console") -> "Table | None":
    """None when no table fits. Cells are never cut; contract = ledger + discrepancy can go."""
    for with_contract in (True, False):
        table = _table(shown, with_contract=with_contract)
        if console.measure(table, options=console.options.update(max_width=100_000)).maximum <= (
            console.width
        ):
            return table
    return None


def _table(shown: Sequence[ReconciliationResult], *, with_contract: bool) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name, justify in _columns(with_contract):
        table.add_column(name, justify=justify, no_wrap=True)
    for result in shown:
        # Text, not str: rich reads markup in a str.
        cells = [Text(printable(result.user_address))]
        style = _STYLES.get(result.outcome, "")
        cells.append(Text(str(result.outcome).replace("_", " "), style=style))
        cells.append(Text(_amount(result.old_balance, format_amount)))
        if with_contract:
            cells.append(Text(_amount(result.new_balance, format_amount)))
        cells.append(Text(_amount(result.discrepancy, signed)))
        table.add_row(*cells)
    return table


def _columns(with_contract: bool) -> list[tuple[str, Literal["left", "right"]]]:
    contract: list[tuple[str, Literal["left", "right"]]] = [("Contract", "right")]
    return [
        ("User", "left"),
        ("Outcome", "left"),
        ("Ledger", "right"),
        *(contract if with_contract else []),
        ("Discrepancy", "right"),
    ]


def _amount(amount: FlowAmount | None, write: Callable[[FlowAmount], str]) -> str:
    return "—" if amount is None else write(amount)
