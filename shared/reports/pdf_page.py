"""Pages of A4, drawn from the top down, each with its number and how many there are."""

from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from shared.reports.pdf_text import BOLD_FONT, TEXT_FONT, shown, width_of

if TYPE_CHECKING:
    from reportlab.pdfgen.textobject import PDFTextObject

PAGE_WIDTH, PAGE_HEIGHT = 595.28, 841.89
MARGIN = 34.0
TOP, BOTTOM = PAGE_HEIGHT - 36.0, 46.0
WIDTH = PAGE_WIDTH - 2 * MARGIN

BLACK, GREY, FAINT = (0.07, 0.09, 0.12), (0.36, 0.39, 0.44), (0.945, 0.95, 0.96)
RULE = (0.7, 0.73, 0.77)

_FOOT_SIZE = 7.5
_FOOT_Y = 26.0
_PAGES_FORM = "pages"
Colour = tuple[float, float, float]


class Pages:
    """`y` is where the next line goes, in points from the bottom. The same calls give the same
    bytes."""

    def __init__(self, file: IO[bytes], *, title: str, author: str, foot: str) -> None:
        from reportlab import rl_config
        from reportlab.pdfgen.canvas import Canvas

        rl_config.useA85 = 0  # pages as bytes, a fifth smaller than as text
        self.canvas: Canvas = Canvas(
            file, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), pageCompression=1, invariant=1, lang="en"
        )
        self.canvas.setTitle(shown(title))
        self.canvas.setAuthor(shown(author))
        self.canvas.setSubject("Balance reconciliation")
        self.canvas.setCreator("balance-reconciliation")
        self._foot = shown(foot)
        self._number = 0
        self._text: PDFTextObject | None = None
        self._style: tuple[str, float, Colour] | None = None
        self._on_page: Callable[[], None] = lambda: None
        self.y = TOP
        self._begin()

    def room_for(self, height: float) -> None:
        """Goes on to a new page unless this one has so many points left."""
        if self.y - height < BOTTOM:
            self.next_page()

    def next_page(self) -> None:
        self._end()
        self._begin()
        self._on_page()

    def repeat(self, draw: Callable[[], None]) -> None:
        """Draws this at the top of each page that follows."""
        self._on_page = draw

    def text(
        self, x: float, text: str, *, size: float, font: str = TEXT_FONT, colour: Colour = BLACK
    ) -> None:
        """One line at the present height, from x on."""
        style = (font, size, colour)
        if self._text is None:
            self._text = self.canvas.beginText()
            self._style = None
        if style != self._style:
            self._text.setFont(font, size)
            self._text.setFillColorRGB(*colour)
            self._style = style
        self._text.setTextOrigin(x, self.y)
        self._text.textOut(text)

    def right_text(
        self, x: float, text: str, *, size: float, font: str = TEXT_FONT, colour: Colour = BLACK
    ) -> None:
        """One line at the present height that ends at x."""
        self.text(x - width_of(text, font, size), text, size=size, font=font, colour=colour)

    def rule(self, colour: Colour = RULE, *, below: float = 3.0, width: float = 0.5) -> None:
        """A line across the page, below the present height."""
        self.canvas.setStrokeColorRGB(*colour)
        self.canvas.setLineWidth(width)
        self.canvas.line(MARGIN, self.y - below, MARGIN + WIDTH, self.y - below)

    def save(self) -> None:
        """Ends the last page and writes the file."""
        self._end()
        self.canvas.beginForm(_PAGES_FORM)
        self.canvas.setFont(TEXT_FONT, _FOOT_SIZE)
        self.canvas.setFillColorRGB(*GREY)
        self.canvas.drawString(0, 0, str(self._number))
        self.canvas.endForm()
        self.canvas.save()

    def _end(self) -> None:
        self.y = _FOOT_Y
        self.text(MARGIN, self._foot, size=_FOOT_SIZE, colour=GREY)
        total_at = MARGIN + WIDTH - 22
        self.right_text(total_at, f"Page {self._number} of", size=_FOOT_SIZE, colour=GREY)
        # All of a page's text at once, after what lies below it: an operator for each line costs.
        if self._text is not None:
            self.canvas.drawText(self._text)
            self._text = None
        # How many pages there are is known at the end: a form that all pages refer to.
        self.canvas.translate(total_at + 2.5, self.y)
        self.canvas.doForm(_PAGES_FORM)
        self.canvas.showPage()

    def _begin(self) -> None:
        self._number += 1
        self.y = TOP


def heading(pages: Pages, text: str, *, size: float = 10.5) -> None:
    """A heading with a line below it, kept with what follows."""
    pages.room_for(60)
    pages.y -= size + 8
    pages.text(MARGIN, text, size=size, font=BOLD_FONT)
    pages.rule()
    pages.y -= 4
