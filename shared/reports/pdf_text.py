"""Text as a page of a PDF can show it: the letters of its fonts, in lines that fit."""

from collections.abc import Iterator, Mapping
from functools import cache

TEXT_FONT = "Helvetica"
BOLD_FONT = "Helvetica-Bold"
CODE_FONT = "Courier"
"""Fonts that every reader of PDF has, so none is embedded; their letters are those of Latin-1."""


def shown(text: str) -> str:
    """The text with `\\u4e2d` in the place of each letter that the fonts lack, or that is none."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if _has_glyph(each) else _escaped(each) for each in text)


def width_of(text: str, font: str, size: float) -> float:
    """In points; of a text that is `shown`."""
    if font == CODE_FONT:
        return len(text) * 0.6 * size
    return sum(map(_widths(font).__getitem__, text)) * size


def lines_that_fit(text: str, font: str, size: float, width: float) -> Iterator[str]:
    """The text in lines of at most that many points: broken at spaces, or else anywhere."""
    if width_of(text, font, size) <= width:
        yield text
        return
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if width_of(longer, font, size) <= width:
            line = longer
            continue
        if line:
            yield line
        *full, line = _pieces(word, font, size, width)
        yield from full
    yield line


def _pieces(word: str, font: str, size: float, width: float) -> Iterator[str]:
    piece = ""
    for letter in word:
        if piece and width_of(piece + letter, font, size) > width:
            yield piece
            piece = ""
        piece += letter
    yield piece


@cache
def _widths(font: str) -> Mapping[str, float]:
    """Of every letter that the font has, at size 1: looked up faster than reportlab adds them."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    letters = bytes(range(32, 256)).decode("cp1252", errors="ignore")
    return {letter: stringWidth(letter, font, 1) for letter in letters}


def _has_glyph(letter: str) -> bool:
    if not letter.isprintable():
        return False
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
