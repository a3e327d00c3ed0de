"""The filter of a picture's own, found: decoded samples, corrections and the picture itself -> taps worth their bits.

Least squares over samples of the picture. Taps that save less error than their bits cost are left out one by one; the
others are rounded one after the other, each later one making up for what was rounded before it (the nearest plane of
Babai, "On Lovász' lattice reduction and the nearest lattice point problem", 1986), at each precision, and the cheapest
is taken. Sums are of whole numbers and exact in any order; the rest is single operations on 64-bit floats, element by
element, so every machine finds the same taps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.codecs.targets import bytes_of_a_decibel
from laconic.container.filter_bits import count_bits
from laconic.quantize.steps import base_step_units
from laconic.transform import color
from laconic.transform.network import corrections
from laconic.transform.picture_filter import MAX_SUM, SHIFTS, TAPS, Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from laconic.container import Header
    from laconic.transform.network import Network
    from laconic.transform.workers import Workers

    Floats = NDArray[np.float64]

__all__ = ["fit_filter"]

WHOLE_PIXELS = 1 << 20
"""Larger pictures are looked at in windows."""
WINDOWS, WINDOW = 6, (128, 256)
"""Windows down and across a large picture, and their height and width. With sixteen in all there were photos that their
filter made worse."""
STRIP = 32
"""Rows that a thread looks at at once."""
REACH = 3
TAP_BITS = 5
"""What a tap costs about, when it is decided which are worth it."""
RIDGE = 1e-7
"""Of the mean square of features, added to each: features that are zero everywhere have no taps."""
DECIBEL = 4.342944819
"""10 / ln 10."""
RGB_WEIGHTS = ((3.0, 1.428, 0.688), (1.428, 3.258, 0.2457), (0.688, 0.2457, 2.476))
"""Squared errors in R, G and B together, of errors in Y, Cb and Cr (BT.601)."""


def fit_filter(
    planes: NDArray[Any], pixels: NDArray[Any], header: Header, network: Network, size: int, workers: Workers
) -> Filter | None:
    """Find the filter of a picture.

    Parameters
    ----------
    planes : ndarray (C, H, W) int16 or int32
        As a decoder has them before the network.
    pixels : ndarray (H, W, C) uint8 or uint16
        The picture.
    header : Header
    network : Network
        The one that the header names.
    size : int
        Bytes of the file, which say what a decibel is worth.
    workers : Workers

    Returns
    -------
    Filter or None
        None where no taps are worth their bits.
    """
    count = header.color_planes
    sums = np.zeros((count, TAPS[-1] + 1, TAPS[-1] + 1), np.int64)
    errors = np.zeros((count, count), np.int64)
    for parts in _samples(planes, pixels, header, network, workers):
        for found in workers.each(lambda rows, parts=parts: _sums(parts, rows), _strips(parts.shape[2])):
            sums += found
        inside = parts[2, :, REACH:-REACH, REACH:-REACH].reshape(count, -1).astype(np.int64)
        errors += inside @ inside.T
    weights = RGB_WEIGHTS if count == 3 else ((1.0,),)
    error = sum(weights[p][q] * float(errors[p, q]) for p in range(count) for q in range(count))
    if error <= 0:
        return None
    # The error that is worth a bit.
    bit = error / (DECIBEL * bytes_of_a_decibel(header.step_code) * 8 * max(size, 1))
    best: tuple[float, Filter] | None = None
    by_plane = [_taps(_whole(of, TAPS[plane]), bit / weights[plane][plane]) for plane, of in enumerate(sums)]
    for number, shift in enumerate(SHIFTS):
        taps = [of_plane[number] for of_plane in by_plane]
        saved = sum(weights[plane][plane] * gain for plane, (gain, _) in enumerate(taps))
        candidate = Filter(shift, tuple(tap for _, tap in taps))
        cost = bit * 8 * -(-count_bits(candidate) // 8) - saved
        if cost < 0 and (best is None or cost < best[0]):
            best = cost, candidate
    return best[1] if best else None


def _sums(parts: NDArray[np.int32], rows: tuple[int, int]) -> NDArray[np.int64]:
    """Return the sums of products over rows of `_samples`: (planes, 27, 27), lower triangles, what is missing last."""
    count = parts.shape[1]
    sums = np.zeros((count, TAPS[-1] + 1, TAPS[-1] + 1), np.int64)
    _native.sum_filter(parts, *rows, sums)
    return sums


def _strips(height: int) -> list[tuple[int, int]]:
    """Cut the rows that have others around them into strips."""
    last = height - REACH
    return [(top, min(top + STRIP, last)) for top in range(REACH, last, STRIP)]


def _samples(
    planes: NDArray[Any], pixels: NDArray[Any], header: Header, network: Network, workers: Workers
) -> Iterator[NDArray[np.int32]]:
    """Yield pieces of a picture, (3, planes, h, w): decoded samples, corrections and what is missing after both.

    In whole sixteenths of a level of 8 bits.
    """
    height, width = planes.shape[1:]
    count = header.color_planes
    step = base_step_units(header.step_code, depth=header.depth)
    whole = height * width <= WHOLE_PIXELS
    for y, x, h, w in [(0, 0, height, width)] if whole else _windows(height, width):
        if min(h, w) <= 2 * REACH:
            continue
        window = (y, x, h, w)
        found = corrections(planes, network, code=header.step_code, step=step, window=window, workers=workers)
        given = color.analyze(np.ascontiguousarray(pixels[y : y + h, x : x + w]), lossless=False, workers=workers)
        decoded = planes[:count, y : y + h, x : x + w]
        parts = np.stack([decoded, found, given[:count].astype(np.int32) - decoded - found])
        yield parts if planes.dtype == np.int16 else (parts + 128) >> 8


def _windows(height: int, width: int) -> list[tuple[int, int, int, int]]:
    """Return (y, x, height, width) of windows all over a large picture, on the grid of the network."""
    h, w = min(WINDOW[0], height), min(WINDOW[1], width)
    return [
        ((height - h) * j // (WINDOWS - 1) & ~3, (width - w) * i // (WINDOWS - 1) & ~3, h, w)
        for j in range(WINDOWS)
        for i in range(WINDOWS)
    ]


def _whole(sums: NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    """Return squares (count, count) and products (count,) of the lower triangle of a plane."""
    lower = sums[:count, :count]
    return (lower + lower.T - np.diag(np.diag(lower))).astype(np.float64), sums[-1, :count].astype(np.float64)


def _taps(of: tuple[Floats, Floats], bit: float) -> list[tuple[float, tuple[int, ...]]]:
    """Return, for each shift, the squared error that taps save, and the taps; zeros where they are too large."""
    squares, products = of
    count = len(products)
    ridge = RIDGE * sum(float(value) for value in np.diag(squares)) / count
    squares = squares + np.diag([ridge or 1.0] * count)
    kept = _worthwhile(squares, products, TAP_BITS * bit)
    nothing = 0.0, (0,) * count
    found: list[tuple[float, tuple[int, ...]]] = []
    lower, diagonal = _factors(squares[np.ix_(kept, kept)])
    first = products[kept]
    for k in range(len(kept)):
        first[k + 1 :] -= lower[k + 1 :, k] * first[k]
    for shift in SHIFTS:
        wanted, rounded = first / diagonal, np.zeros(len(kept))
        for k in reversed(range(len(kept))):
            rounded[k] = np.rint(wanted[k] * (1 << shift)) / (1 << shift)
            wanted[:k] -= lower[k, :k] * rounded[k]
        taps = [0] * count
        for k, value in zip(kept, rounded, strict=True):
            taps[k] = round(float(value) * (1 << shift))
        gain = 2 * _dot(rounded, products[kept])
        gain -= sum(value * _dot(row, rounded) for value, row in zip(rounded, squares[np.ix_(kept, kept)], strict=True))
        fits = sum(map(abs, taps)) <= MAX_SUM
        found.append((gain, tuple(taps)) if fits and gain > 0 else nothing)
    return found


def _worthwhile(squares: Floats, products: Floats, price: float) -> list[int]:
    """Return which taps each save at least `price`, the least useful left out first."""
    kept: list[int] = list(range(len(products)))
    inverse = _inverse(squares)
    taps = np.array([_dot(row, products) for row in inverse])
    while kept:
        saves = taps * taps / np.diag(inverse)
        k = int(np.argmin(saves))
        if saves[k] > price:
            break
        share = inverse[:, k] / inverse[k, k]
        taps = taps - share * taps[k]
        inverse = inverse - np.multiply.outer(share, inverse[k])
        rest = [i for i in range(len(kept)) if i != k]
        kept, taps, inverse = [kept[i] for i in rest], taps[rest], inverse[np.ix_(rest, rest)]
    return kept


def _factors(matrix: Floats) -> tuple[Floats, Floats]:
    """Return (L, d) with matrix = L diag(d) L', L with ones on its diagonal."""
    rest, count = matrix.copy(), len(matrix)
    lower, diagonal = np.eye(count), np.ones(count)
    for k in range(count):
        diagonal[k] = rest[k, k]
        lower[k + 1 :, k] = rest[k + 1 :, k] / rest[k, k]
        rest[k + 1 :, k + 1 :] -= np.multiply.outer(lower[k + 1 :, k], rest[k, k + 1 :])
    return lower, diagonal


def _inverse(matrix: Floats) -> Floats:
    """Return the inverse of a positive definite matrix (Gauss and Jordan)."""
    count = len(matrix)
    both = np.concatenate([matrix, np.eye(count)], axis=1)
    for k in range(count):
        both[k] /= both[k, k]
        others = both[:, k].copy()
        others[k] = 0.0
        both -= np.multiply.outer(others, both[k])
    return both[:, count:]


def _dot(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> float:
    """Return the sum of products, in order."""
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total += float(x) * float(y)
    return total
