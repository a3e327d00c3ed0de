"""Rate-distortion plots as inline SVG: quality over bits per pixel on a logarithmic axis.

Colors are classes of the page's style sheet, so that one drawing serves light and dark; every point carries its figures
as a tooltip, and every line the name by which the legend switches it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 14, 46
NAMES = 150
"""Margins in units of the view box; the right one where it holds the names of thin lines."""
LABEL_HEIGHT = 14
COLORS = 12
"""How many lines the style sheet knows colors for; more repeat them."""
RATES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8)
STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


@dataclass(frozen=True)
class Line:
    """One curve.

    Attributes
    ----------
    name
        What the legend, the tooltips or the label call it.
    rate, quality
        Bits per pixel and what the plot shows, by rising rate.
    series
        Number of its color and of its switch in the legend; None for a thin line with a label: a published curve.
    """

    name: str
    rate: Sequence[float]
    quality: Sequence[float]
    series: int | None = None


@dataclass(frozen=True)
class Chart:
    """One plot; the range of its axes is that of the thick lines, above `floor`."""

    label: str
    lines: Sequence[Line]
    floor: float = -math.inf


def svg(chart: Chart) -> str:
    """The plot as an SVG element, without any style of its own."""
    thick = [line for line in chart.lines if line.series is not None]
    points = [point for line in thick for point in zip(line.rate, line.quality, strict=True)]
    if not points:
        return ""
    low, high = (f(rate for rate, _ in points) for f in (min, max))
    bottom, top = (max(f(quality for _, quality in points), chart.floor) for f in (min, max))
    pad = 0.03 * (top - bottom or 1)
    bottom, top = bottom - pad, top + pad
    low, high = low / 1.06, high * 1.06
    right = WIDTH - (NAMES if len(thick) < len(chart.lines) else RIGHT)

    def x(rate: float) -> float:
        return LEFT + (right - LEFT) * math.log(rate / low) / math.log(high / low)

    def y(quality: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (quality - bottom) / (top - bottom)

    thin = [
        clipped
        for line in chart.lines
        if line.series is None and len((clipped := _inside(line, low, high, bottom, top)).rate) >= 2
    ]
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(chart.label)} over bits per pixel">',
        *_axes(chart.label, (low, high), (bottom, top), right, x, y),
        *_thin(thin, x, y),
        # A view of its own cuts off what lies below the floor. The subject, number 0, is drawn last and so lies on top.
        f'<svg width="{WIDTH}" height="{HEIGHT - BOTTOM}" overflow="hidden">',
        *(_thick(line, x, y) for line in sorted(thick, key=lambda line: -(line.series or 0))),
        "</svg></svg>",
    ]
    return "\n".join(parts)


Scale = Callable[[float], float]


def _axes(
    label: str, rates: tuple[float, float], range_: tuple[float, float], right: int, x: Scale, y: Scale
) -> list[str]:
    parts: list[str] = []
    base = HEIGHT - BOTTOM
    for rate in (rate for rate in RATES if rates[0] <= rate <= rates[1]):
        parts.append(f'<path class="grid" d="M{x(rate):.1f} {TOP}V{base}"/>')
        parts.append(f'<text class="tick" x="{x(rate):.1f}" y="{base + 18}" text-anchor="middle">{rate:g}</text>')
    bottom, top = range_
    step = next((step for step in STEPS if (top - bottom) / step <= 10), STEPS[-1])
    for k in range(math.ceil(bottom / step), math.floor(top / step) + 1):
        parts.append(f'<path class="grid" d="M{LEFT} {y(k * step):.1f}H{right}"/>')
        text = f"{k * step:g}".replace("-", "\N{MINUS SIGN}")
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y(k * step) + 4:.1f}" text-anchor="end">{text}</text>')
    parts.append(f'<text class="axis" x="{right}" y="{HEIGHT - 8}" text-anchor="end">bits per pixel</text>')
    parts.append(f'<text class="axis" x="{LEFT + 10}" y="{TOP + 16}">{html.escape(label)}</text>')
    return parts


def _thick(line: Line, x: Scale, y: Scale) -> str:
    marks = "".join(
        f'<circle cx="{x(rate):.1f}" cy="{y(quality):.1f}" r="{4.5 if line.series == 0 else 3}">'
        f"<title>{html.escape(line.name)}: {quality:.2f} at {rate:.3f} bits per pixel</title></circle>"
        for rate, quality in zip(line.rate, line.quality, strict=True)
    )
    name = "subject" if line.series == 0 else "measured"
    kind = f"{name} s{(line.series or 0) % COLORS}"
    return f'<g class="{kind}" data-series="{line.series}"><path d="{_path(line, x, y)}"/>{marks}</g>'


def _thin(lines: Sequence[Line], x: Scale, y: Scale) -> list[str]:
    """Lines with their names in the right margin, in the order of their ends and never over each other."""
    lines = sorted(lines, key=lambda line: y(line.quality[-1]))
    places: list[float] = []
    for line in lines:
        places.append(max(y(line.quality[-1]), places[-1] + LABEL_HEIGHT if places else TOP + LABEL_HEIGHT / 2))
    # What went below the plot is moved up again, from the last one on.
    limit = HEIGHT - BOTTOM - LABEL_HEIGHT / 2
    for k in reversed(range(len(places))):
        places[k] = min(places[k], limit)
        limit = places[k] - LABEL_HEIGHT
    right = WIDTH - NAMES
    parts: list[str] = []
    for line, place in zip(lines, places, strict=True):
        name = html.escape(line.name)
        at, height = x(line.rate[-1]), y(line.quality[-1])
        parts.append(
            f'<g class="published"><title>{name}, published</title><path class="curve" d="{_path(line, x, y)}"/>'
            f'<path class="leader" d="M{at:.1f} {height:.1f}L{right + 2} {place:.1f}h6"/>'
            f'<text class="name" x="{right + 12}" y="{place + 4:.1f}">{name}</text></g>'
        )
    return parts


def _inside(line: Line, low: float, high: float, bottom: float, top: float) -> Line:
    kept = [
        (rate, quality)
        for rate, quality in zip(line.rate, line.quality, strict=True)
        if low <= rate <= high and bottom <= quality <= top
    ]
    return Line(line.name, [rate for rate, _ in kept], [quality for _, quality in kept])


def _path(line: Line, x: Scale, y: Scale) -> str:
    pairs = zip(line.rate, line.quality, strict=True)
    return "M" + "L".join(f"{x(rate):.1f} {y(quality):.1f}" for rate, quality in pairs)
