"""Which reversible colors serve a picture: those whose planes are quietest, at its size and at half of it.

In most photos luma and two differences are best, but the best three planes differ: where the sky has burned out in red
and green, nothing is left to code of them in the channels themselves, and YCoCg-R spreads what blue does over all its
planes. Coding a picture in all ways would tell, for thirty times the work. Here second differences along some rows of
pixels stand for the wavelet: the logarithm of their sum over a stretch of a row grows as its code length does. All of
it is integers, so every machine chooses alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.transform.color import ORDERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["ColorChoice", "choose"]

PERIOD = 8
"""Of eight rows the first two are looked at, wherever in the picture a strip begins."""
STRETCH = 32
DOUBT = 16
"""Added to the sum of a stretch: half a level for each of its samples."""

Plane = tuple[str, int, int]


def choose(strips: Iterable[NDArray[Any]]) -> int:
    """Return the number of the colors that serve a picture whose rows (h, W, C) pass by; 0 for gray."""
    choice = ColorChoice()
    for rows in strips:
        choice.add(rows)
    return choice.best()


class ColorChoice:
    """Looks at a picture row by row, then names its colors."""

    def __init__(self) -> None:
        self._row = 0
        self._above: NDArray[np.int32] | None = None  # the first of two rows, while the second has not come
        self._costs: dict[Plane, int] = dict.fromkeys(_planes(), 0)

    def add(self, pixels: NDArray[Any]) -> None:
        """Look at the next rows (h, W, C) uint8 or uint16."""
        width = pixels.shape[1] & ~1
        if pixels.shape[2] < 3 or (width - 4) // 2 < STRETCH:
            return
        first, self._row = self._row, self._row + len(pixels)
        above = [] if self._above is None else [self._above[None]]
        upper = pixels[-first % PERIOD :: PERIOD, :width, :3].astype(np.int32)
        lower = pixels[(1 - first) % PERIOD :: PERIOD, :width, :3].astype(np.int32)
        upper = np.concatenate([*above, upper])
        self._above = upper[-1] if len(upper) > len(lower) else None
        if len(lower):
            upper = upper[: len(lower)]
            self._measure(upper, DOUBT, 1)
            rows = upper + lower
            # Sums of four samples have twice the noise of one, and rows of them half the stretches.
            self._measure(rows[:, 0::2] + rows[:, 1::2], 2 * DOUBT, 2)

    def _measure(self, rows: NDArray[np.int32], doubt: int, weight: int) -> None:
        """Add the costs of rows (h, w, 3), `weight` times."""
        channels = np.ascontiguousarray(np.moveaxis(rows, 2, 0))
        for plane in self._costs:
            samples = _samples(channels, plane)
            curve = np.abs(2 * samples[:, 1:-1] - samples[:, :-2] - samples[:, 2:])
            usable = curve.shape[1] // STRETCH * STRETCH
            sums = curve[:, :usable].reshape(len(curve), -1, STRETCH).sum(2, dtype=np.int64)
            self._costs[plane] += weight * int(_logarithm(sums + doubt).sum())

    def best(self) -> int:
        """Return the number of the colors; 0, YCoCg-R, for pictures too small to tell."""
        return min(range(len(_MADE_OF)), key=self._rank)

    def _rank(self, colors: int) -> tuple[int, int]:
        luma, second, third = _MADE_OF[colors]
        # Of two orders of the same planes the one with more to say first, which the last then has as context.
        return self._costs[luma] + self._costs[second] + self._costs[third], -self._costs[second]


def _difference(a: int, b: int) -> Plane:
    return "difference", min(a, b), max(a, b)


def _made_of(colors: int) -> tuple[Plane, Plane, Plane]:
    """Name the three planes of colors but for their signs and roundings: twelve in all."""
    way, order = divmod(colors, len(ORDERS))
    a, b, c = ORDERS[order]
    luma, channel = ("luma", a, a), ("channel", a, a)
    return (
        (luma, _difference(b, c), ("mean", a, a)),
        (luma, ("mean", a, a), _difference(b, c)),
        (luma, _difference(a, b), _difference(a, c)),
        (channel, _difference(a, b), _difference(a, c)),
        (channel, _difference(a, b), ("mean", c, c)),
    )[way]


_MADE_OF = [_made_of(colors) for colors in range(5 * len(ORDERS))]


def _planes() -> list[Plane]:
    return sorted({plane for planes in _MADE_OF for plane in planes})


def _samples(channels: NDArray[np.int32], plane: Plane) -> NDArray[np.int32]:
    kind, a, b = plane
    if kind == "channel":
        return channels[a]
    if kind == "difference":
        return channels[a] - channels[b]
    others = (channels[(a + 1) % 3] + channels[(a + 2) % 3]) >> 1
    return channels[a] - others if kind == "mean" else (channels[a] + others) >> 1


def _logarithm(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return about 256 log2 of positive integers: straight between powers of two, and so exact everywhere."""
    fraction, exponent = np.frexp(values.astype(np.float64))
    return (fraction * 512).astype(np.int64) - 256 + 256 * exponent.astype(np.int64)
