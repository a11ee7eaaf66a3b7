"""A table over many pages: its head is repeated, no cell is cut, a row stays together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.reports.pdf_page import BOTTOM, FAINT, GREY, MARGIN, TOP, WIDTH, Pages
from shared.reports.pdf_text import BOLD_FONT, TEXT_FONT, lines_that_fit, shown

SIZE = 7.4
LEADING = 9.2
_PADDING = 1.6
_GAP = 5.0
_NOTE_INDENT = 10.0


@dataclass(frozen=True, slots=True)
class Column:
    """`width` in points, the gap to the next column included."""

    title: str
    width: float
    align: Literal["left", "right"] = "left"
    font: str = TEXT_FONT


@dataclass(frozen=True, slots=True)
class TableRow:
    """One text for each column; `note` goes below them, as wide as the table."""

    cells: Sequence[str]
    note: str = ""


class Table:
    """Draws rows one by one, so that it needs none of them twice."""

    def __init__(self, pages: Pages, columns: Sequence[Column]) -> None:
        self._pages = pages
        self._columns = columns
        self._edges = [MARGIN + sum(c.width for c in columns[:n]) for n in range(len(columns))]
        self._odd = False

    def draw(self, rows: Iterable[TableRow]) -> None:
        """All rows, from the present height on."""
        self._pages.room_for(6 * LEADING)
        self._head()
        self._pages.repeat(self._head)
        for row in rows:
            self._row(row)
        self._pages.repeat(lambda: None)

    def _head(self) -> None:
        pages = self._pages
        pages.y -= LEADING + 2
        for column, left in zip(self._columns, self._edges, strict=True):
            self._put(column, left, column.title, BOLD_FONT)
        pages.rule()
        pages.y -= 4
        self._odd = False

    def _row(self, row: TableRow) -> None:
        cells = [
            list(lines_that_fit(shown(text), column.font, SIZE, column.width - _GAP))
            for column, text in zip(self._columns, row.cells, strict=True)
        ]
        note = self._note(row.note)
        height = (max(map(len, cells)) + len(note)) * LEADING + 2 * _PADDING
        if height > TOP - BOTTOM - 3 * LEADING:
            self._tall(cells, note)
            return
        self._pages.room_for(height)
        if self._odd:
            self._shade(height)
        self._odd = not self._odd
        self._pages.y -= _PADDING
        self._lines(cells, note)
        self._pages.y -= _PADDING

    def _tall(self, cells: list[list[str]], note: list[str]) -> None:
        """A row that no page holds goes over several."""
        step = int((TOP - BOTTOM) / LEADING) - 4
        for first in range(0, max(map(len, cells)), step):
            part = [lines[first : first + step] for lines in cells]
            self._pages.room_for(max(map(len, part)) * LEADING + _PADDING)
            self._lines(part, [])
        for line in note:
            self._pages.room_for(LEADING)
            self._lines([], [line])

    def _lines(self, cells: list[list[str]], note: list[str]) -> None:
        pages = self._pages
        top = pages.y
        for column, left, lines in zip(self._columns, self._edges, cells, strict=False):
            pages.y = top
            for line in lines:
                pages.y -= LEADING
                if line:
                    self._put(column, left, line, column.font, raised=2.2)
        pages.y = top - max(map(len, cells), default=0) * LEADING
        for line in note:
            pages.y -= LEADING
            pages.y += 2.2
            pages.text(MARGIN + _NOTE_INDENT, line, size=SIZE, colour=GREY)
            pages.y -= 2.2

    def _put(
        self, column: Column, left: float, text: str, font: str, *, raised: float = 0.0
    ) -> None:
        pages = self._pages
        pages.y += raised
        if column.align == "right":
            pages.right_text(left + column.width - _GAP, text, size=SIZE, font=font)
        else:
            pages.text(left, text, size=SIZE, font=font)
        pages.y -= raised

    def _note(self, text: str) -> list[str]:
        if not text:
            return []
        return list(lines_that_fit(shown(text), TEXT_FONT, SIZE, WIDTH - _NOTE_INDENT))

    def _shade(self, height: float) -> None:
        canvas = self._pages.canvas
        canvas.setFillColorRGB(*FAINT)
        canvas.rect(MARGIN - 3, self._pages.y - height, WIDTH + 6, height, stroke=0, fill=1)
