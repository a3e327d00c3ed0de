"""The encoder's search: coding a picture again and again for targets that leave less error after the decoder's network.

The trellis finds symbols near the coefficients it is given. But the decoder shows x + N(x), not x; so after each
attempt `transform.network_gradient` says where the decoded planes should have lain instead, the targets of the
coefficients go a part of that way, and the trellis is asked again. What counts are real streams and real pixels: of all
attempts, the plain one among them, the one is kept whose bytes are fewest for its PSNR, so no pass makes a file worse.

It is alternating minimization over the symbols and, to first order, of the error after the network. All of it is
arithmetic on whole numbers, so the bytes are the same on every machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from laconic.codecs.targets import bytes_of_a_decibel, psnr
from laconic.codecs.tiles import pixel_window, wavelets
from laconic.container.layout import TileGrid
from laconic.entropy import causal
from laconic.quantize.rdo import SEARCHED_WEIGHT
from laconic.quantize.steps import base_step_units
from laconic.transform import color, lifting
from laconic.transform.network import synthesize as synthesize_through
from laconic.transform.network_gradient import wanted_planes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from laconic.container import Header
    from laconic.transform.network import Network
    from laconic.transform.workers import Workers

    Streams = Sequence[Sequence[bytes]]

__all__ = ["search"]

LONG_STEPS, LONG_STEP, STEP = 3, 24, 16
"""The targets go 24/32 of the way in the first passes, then 16/32: the network answers each move with another one."""
LIMIT = 1 << 13
"""Of the targets in 8-bit pictures: four times as far from gray as black and white, which lifting has room for."""


class _Attempt(NamedTuple):
    """Streams by group and tile, the logarithm of their bytes at equal PSNR, and the planes a decoder has of them."""

    streams: Streams
    price: float
    decoded: NDArray[Any]


def search(
    pixels: NDArray[Any],
    header: Header,
    network: Network,
    code: Callable[[NDArray[Any], float], tuple[Streams, causal.TileCoding]],
    *,
    passes: int,
    workers: Workers,
) -> Streams:
    """Return the best streams of several attempts, the plain one among them.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16
    header : Header
    network : Network
        The one that the header names.
    code : callable
        Bands (C, H, W) as `lifting.analyze` leaves them, and a factor on the weight of a bit -> streams by group and
        tile, and how they are coded.
    passes : int
        Attempts after the plain one.

    Returns
    -------
    sequence of sequences of bytes
        By resolution group and tile.
    """
    original = color.analyze(pixels, lossless=False, workers=workers)
    kinds = wavelets(header.channels, lossless=False)
    step = base_step_units(header.step_code, depth=header.depth)
    target = original.astype(np.int32)
    limit = LIMIT if original.dtype == np.int16 else LIMIT << 8

    def attempt(weight: float) -> _Attempt:
        bands = target.astype(original.dtype)
        lifting.analyze(bands, kinds, workers=workers)
        streams, coding = code(bands, weight)
        decoded = _decoded(streams, coding, header, bands, workers)
        shown = synthesize_through(decoded, network, code=header.step_code, step=step, workers=workers)
        size = sum(len(stream) for group in streams for stream in group)
        decibels = min(psnr(pixels, shown), 100.0)
        price = math.log(max(size, 1)) - bytes_of_a_decibel(header.step_code) * decibels
        return _Attempt(streams, price, decoded)

    latest = attempt(1.0)
    price, best = latest.price, latest.streams
    for number in range(passes):
        wanted = wanted_planes(latest.decoded, original, network, code=header.step_code, step=step, workers=workers)
        wanted -= target
        wanted *= LONG_STEP if number < LONG_STEPS else STEP
        wanted += 16
        wanted >>= 5
        target += wanted
        np.clip(target, -limit, limit, out=target)
        latest = attempt(SEARCHED_WEIGHT)
        if latest.price < price:
            price, best = latest.price, latest.streams
    return best


def _decoded(
    streams: Streams, coding: causal.TileCoding, header: Header, like: NDArray[Any], workers: Workers
) -> NDArray[Any]:
    """Return the planes that a decoder makes of streams, before the network."""
    planes = np.zeros_like(like)
    grid = TileGrid.of(header)

    def pop(tile: int) -> None:
        causal.pop_tile(planes, pixel_window(grid, tile), coding, [group[tile] for group in streams], tile)

    workers.each(pop, range(grid.count))
    lifting.synthesize(planes, wavelets(header.channels, lossless=False), workers=workers)
    return planes
