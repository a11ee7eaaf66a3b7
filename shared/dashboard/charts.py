"""Charts as SVG, drawn on the server. Amounts become floats here alone, to be drawn.

The drawing stretches to its place, so it has no text; labels are beside it, and a chart's sentence
says what it shows to those who cannot see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from shared.dashboard.texts import day, signed_amount

WIDTH, HEIGHT = 1000.0, 200.0
_MIDDLE = HEIGHT / 2
_REACH = HEIGHT / 2 - 8
"""From the zero line to the largest value."""


@dataclass(frozen=True, slots=True)
class DriftPoint:
    """What one run found, in units of 1e-8 FLOW: `surplus` >= 0 >= `deficit`.

    `to_scale` False: what it found is no drift, and would make all the rest look like nothing.
    """

    at: datetime
    name: str
    surplus: int
    deficit: int
    to_scale: bool = True

    @property
    def net(self) -> int:
        return self.surplus + self.deficit


@dataclass(frozen=True, slots=True)
class LinePoint:
    """A value at a time, in units of 1e-8 FLOW; None: not known then."""

    at: datetime
    units: int | None


@dataclass(frozen=True, slots=True)
class Chart:
    """`drawing` with what stands at its corners: the scale's ends, the first and the last time."""

    drawing: Markup
    top: str
    bottom: str
    first: str
    last: str


def drift_chart(points: Sequence[DriftPoint], sentence: str) -> Chart:
    """A bar up and a bar down for each run, and a mark at what they add up to; oldest first."""
    scaled = [each for each in points if each.to_scale]
    largest = max((max(each.surplus, -each.deficit) for each in scaled), default=0)
    # Few runs: no bar broader than a tenth.
    step = min(WIDTH / max(len(points), 1), WIDTH / 10)
    shapes = []
    for number, point in enumerate(points):
        left = number * step + step * 0.18
        shapes.append(_bars(point, left, step * 0.64, largest))
    times = [each.at for each in points]
    return _chart(shapes, largest, times, sentence)


def line_chart(lines: Sequence[tuple[str, Sequence[LinePoint]]], sentence: str) -> Chart:
    """Values over time, each as (class, points, oldest first); a line breaks where nothing is
    known, and a point alone is a dot."""
    points = [point for _, each in lines for point in each]
    largest = max((abs(each.units) for each in points if each.units is not None), default=0)
    times = sorted(each.at for each in points)
    shapes = [_line(style, each, largest, times) for style, each in lines]
    return _chart(shapes, largest, times, sentence)


def _chart(
    shapes: Sequence[Markup], largest: int, times: Sequence[datetime], sentence: str
) -> Chart:
    drawing = Markup(
        '<svg class="chart" viewBox="0 0 {width:g} {height:g}" preserveAspectRatio="none"'
        ' role="img" aria-label="{sentence}">{grid}{shapes}</svg>'
    ).format(
        width=WIDTH,
        height=HEIGHT,
        sentence=sentence,
        grid=_grid(),
        shapes=Markup("").join(shapes),
    )
    scale = f"{signed_amount(largest)} FLOW", f"{signed_amount(-largest)} FLOW"
    top, bottom = scale if largest else ("", "")
    first, last = (day(times[0]), day(times[-1])) if times else ("", "")
    return Chart(drawing, top, bottom, first, last if last != first else "")


def _grid() -> Markup:
    rows = (_MIDDLE - _REACH, _MIDDLE - _REACH / 2, _MIDDLE + _REACH / 2, _MIDDLE + _REACH)
    lines = [_rule("grid", y) for y in rows]
    return Markup("").join([*lines, _rule("zero", _MIDDLE)])


def _rule(style: str, y: float) -> Markup:
    return Markup('<path class="{style}" d="M0 {y:g}H{width:g}"/>').format(
        style=style, y=y, width=WIDTH
    )


def _bars(point: DriftPoint, left: float, width: float, largest: int) -> Markup:
    said = (
        f"{point.name}, {day(point.at)}: surplus {signed_amount(point.surplus)},"
        f" deficit {signed_amount(point.deficit)}, net {signed_amount(point.net)} FLOW"
    )
    whole = _bar("back" if point.to_scale else "halted", left, width, 0, HEIGHT)
    drawn = _scaled_bars(point, left, width, largest) if point.to_scale else ""
    return Markup("<g><title>{}</title>{}{}</g>").format(said, whole, drawn)


def _scaled_bars(point: DriftPoint, left: float, width: float, largest: int) -> Markup:
    up, down = _height(point.surplus, largest), _height(-point.deficit, largest)
    shapes = []
    if up:
        shapes.append(_bar("above", left, width, _MIDDLE - up, up))
    if down:
        shapes.append(_bar("below", left, width, _MIDDLE, down))
    if up and down:
        net = _MIDDLE - _signed_height(point.net, largest)
        path = Markup('<path class="net" d="M{:.2f} {:.2f}h{:.2f}"/>')
        shapes.append(path.format(left, net, width))
    return Markup("").join(shapes)


def _bar(style: str, left: float, width: float, top: float, height: float) -> Markup:
    return Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"/>').format(
        style, left, top, width, height
    )


def _line(
    style: str, points: Sequence[LinePoint], largest: int, times: Sequence[datetime]
) -> Markup:
    pieces: list[list[str]] = [[]]
    for point in points:
        if point.units is None:
            pieces.append([])
            continue
        x = _across(point.at, times)
        y = _MIDDLE - _signed_height(point.units, largest)
        pieces[-1].append(f"{x:.2f} {y:.2f}")
    path = Markup('<path class="{}" d="{}"/>')
    line = " ".join(f"M{'L'.join(piece)}" for piece in pieces if len(piece) > 1)
    # A path of no length that has round ends is a dot.
    dots = " ".join(f"M{piece[0]}h0" for piece in pieces if len(piece) == 1)
    return path.format(style, line) + (path.format(f"{style} dot", dots) if dots else "")


def _across(at: datetime, times: Sequence[datetime]) -> float:
    first, last = times[0], times[-1]
    if last == first:
        return WIDTH / 2
    margin = 6.0
    return margin + (WIDTH - 2 * margin) * ((at - first) / (last - first))


def _height(units: int, largest: int) -> float:
    """At least a line that can be seen, if there is anything at all."""
    return max(2.0, _REACH * units / largest) if units > 0 else 0.0


def _signed_height(units: int, largest: int) -> float:
    return _height(units, largest) if units >= 0 else -_height(-units, largest)
