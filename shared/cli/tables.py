"""Tables that fit: cells are never cut, so a narrow terminal gets fewer columns or none."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Column = tuple[str, Literal["left", "right"]]
"""A heading and to which side its cells go."""


def table(columns: Iterable[Column], rows: Iterable[Iterable["Text"]]) -> "Table":
    """Cells are Text, not str: rich reads markup in a str."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name, justify in columns:
        made.add_column(name, justify=justify, no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def first_that_fits(tables: Iterable["Table"], console: "Console") -> "Table | None":
    """None when none does."""
    options = console.options.update(max_width=100_000)
    for each in tables:
        if console.measure(each, options=options).maximum <= console.width:
            return each
    return None
