"""What luma foretells of chroma, written to be read: `spec/chroma.md` sentence by sentence, for one tile.

Plain Python integers and numpy, no native code; `native/chroma.h` is the fast one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Shares", "add_foretold"]

LEVELS = 6
QUARTERS = (0, 2, 3, 4)
STEEPEST = 2048
CB_LUMA, CR_LUMA, CR_CB = PAIRINGS = range(3)
"""The regressions: Cb by luma, Cr by luma, rest of Cr by rest of Cb."""


class Shares(NamedTuple):
    """How much of a prediction a band uses, 0 .. 3: of what luma foretells, of what the rest of Cb foretells."""

    luma: int = 0
    cb: int = 0


def toward_zero(numerator: int, denominator: int) -> int:
    """Return the quotient rounded toward zero, limited to -2 .. 2 in 1/1024."""
    quotient = abs(numerator) // denominator
    return max(-STEEPEST, min(STEEPEST, -quotient if numerator < 0 else quotient))


def prior_slope(products: int, squares: int) -> int:
    """Return the slope of the coarser levels of the whole tile, in 1/1024."""
    # "A denominator of 2^50 or more and its numerator lose 16 bits first."
    if squares >> 50:
        products, squares = products >> 16, squares >> 16
    return toward_zero(1024 * products, squares)


def foretold(slope: int, value: int) -> int:
    """Return slope * value / 1024, rounded to the nearest, halves away from zero."""
    product = slope * value
    return -((-product + 512) >> 10) if product < 0 else (product + 512) >> 10


def share_of(prediction: int, share: int) -> int:
    """Return the share of a prediction that a band uses."""
    # "floor((p s + 2) / 4) with s = 0, 2, 3 or 4 for the shares 0, 1, 2, 3."
    return (prediction * QUARTERS[share] + 2) >> 2


def sum_3x3(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sum of the 3 x 3 around each place, zeros outside."""
    padded = np.pad(values, 1)
    height, width = values.shape
    return sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))  # type: ignore[return-value]


class Level:
    """The three bands of a level: what is decoded of luma, Cb and Cr, and what remained of Cb and Cr."""

    def __init__(self, bands: Sequence[Sequence[NDArray[np.int64]]], *, wide: bool) -> None:
        self.luma = list(bands[0])
        self.chroma = [[band.copy() for band in plane] for plane in bands[1:]]
        self.rest = [[np.zeros_like(band) for band in plane] for plane in bands[1:]]
        # "In the sums coefficients of 16-bit pictures lose their 8 low bits"
        self.lost = 8 if wide else 0

    def factors(self, pairing: int, o: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (what is multiplied, what it foretells) of an orientation, as they enter the sums."""
        by, of = [
            (self.luma[o], self.chroma[0][o]),
            (self.luma[o], self.chroma[1][o]),
            (self.rest[0][o], self.rest[1][o]),
        ][pairing]
        return by >> self.lost, of >> self.lost

    def sums(self, pairing: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return products and squares at each place, summed over the orientations."""
        # "Bands of a level differ by a row or a column at most; what is missing counts as 0."
        shape = max(band.shape[0] for band in self.luma), max(band.shape[1] for band in self.luma)
        products, squares = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for o in range(3):
            by, of = self.factors(pairing, o)
            part = np.s_[: by.shape[0], : by.shape[1]]
            products[part] += by * of
            squares[part] += by * by
        return products, squares


def add_foretold(
    values: Sequence[Sequence[NDArray[Any]]],
    shares: Sequence[Sequence[Shares]],
    steps: NDArray[np.integer],
    *,
    wide: bool,
) -> list[list[NDArray[np.int64]]]:
    """Turn dequantized symbols of a tile into coefficients.

    Parameters
    ----------
    values : [3][19] arrays (h, w)
        Y, Cb, Cr by band: coefficients of luma, what remained of those of chroma.
    shares : [3][19] of Shares
    steps : (3, 19)
        In 1/256 of a transform unit.
    wide : bool
        A picture of 16 bits a sample.

    Returns
    -------
    [3][19] arrays (h, w) int64
    """
    low, high = (-(1 << 24), 1 << 24) if wide else (-(1 << 15), (1 << 15) - 1)

    def limited(value: int) -> int:
        return max(low, min(high, value))

    whole = [[np.asarray(band, np.int64) for band in plane] for plane in values]
    totals = [(0, 0)] * len(PAIRINGS)
    above: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    for first in range(1, 1 + 3 * LEVELS, 3):
        level = Level([plane[first : first + 3] for plane in whole], wide=wide)
        # "Within a level: planes in order, of each HL, LH, HH"
        for plane in (1, 2):
            for o in range(3):
                # "With q the step of the band in 1/16 of a transform unit (of 16-bit pictures in 16 units), rounded
                # down, doubt is max(1, floor(9 q^2 / 512))"
                q = int(steps[plane][first + o]) >> (12 if wide else 4)
                doubt = max(9 * q * q >> 9, 1)
                share = shares[plane][first + o]
                chroma, rest = level.chroma[plane - 1][o], level.rest[plane - 1][o]
                for y, x in np.ndindex(chroma.shape):
                    luma = other = 0
                    if level.luma[o][y, x]:
                        pairing = CB_LUMA if plane == 1 else CR_LUMA
                        slope = slope_at(level, pairing, (o, y, x), above.get(pairing), totals[pairing], doubt)
                        luma = share_of(limited(foretold(slope, int(level.luma[o][y, x]))), share.luma)
                    if plane == 2 and level.rest[0][o][y, x]:
                        slope = slope_at(level, CR_CB, (o, y, x), above.get(CR_CB), totals[CR_CB], doubt)
                        other = share_of(limited(foretold(slope, int(level.rest[0][o][y, x]))), share.cb)
                    remained = int(chroma[y, x])
                    rest[y, x] = limited(other + remained)
                    chroma[y, x] = limited(limited(luma + other) + remained)
        for pairing in PAIRINGS:
            products, squares = level.sums(pairing)
            # "... which are halved (toward zero) before the sums of each further level are added"
            before = totals[pairing]
            half = -(-before[0] // 2) if before[0] < 0 else before[0] // 2
            totals[pairing] = half + int(products.sum()), before[1] // 2 + int(squares.sum())
            above[pairing] = sum_3x3(products), sum_3x3(squares)
        for plane in (1, 2):
            whole[plane][first : first + 3] = level.chroma[plane - 1]
    return whole


def slope_at(
    level: Level,
    pairing: int,
    place: tuple[int, int, int],
    above: tuple[NDArray[np.int64], NDArray[np.int64]] | None,
    totals: tuple[int, int],
    doubt: int,
) -> int:
    """Return the slope at a place (orientation, y, x), in 1/1024."""
    o, y, x = place
    products = squares = 0
    # "Siblings (bands of this plane and level read before) count twice: sums of c l and of l^2 over the 3 x 3 around
    # the place."
    for s in range(o):
        by, of = (band[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2] for band in level.factors(pairing, s))
        products += 2 * int((by * of).sum())
        squares += 2 * int((by * by).sum())
    # "The level above counts in the 3 x 3 around (floor(y / 2), floor(x / 2)), its three bands together."
    if above is not None and y >> 1 < above[0].shape[0] and x >> 1 < above[0].shape[1]:
        products += int(above[0][y >> 1, x >> 1])
        squares += int(above[1][y >> 1, x >> 1])
    # "slope = (1024 products + prior doubt) / (squares + doubt), rounded toward zero, limited to -2048 .. 2048."
    prior = prior_slope(totals[0], totals[1] + doubt)
    return toward_zero(1024 * products + prior * doubt, squares + doubt)
