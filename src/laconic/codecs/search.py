"""The encoder's search: coding a picture again, for targets without what the decoder's network will add anyway.

The trellis finds symbols near the coefficients it is given. But the decoder shows x + N(x), not x. So once a picture is
coded, its decoded planes x tell what the network adds, and the picture is coded anew as what should lie under it:
original - s N(x), with a share s of 13/16, for what is coded then makes the network add a little less. It is a fixed
point, approached from the plain encoding: bytes at equal PSNR fall by 1.9 % with one attempt more, by 2.2 % with two.

Where the correction would not bring the planes nearer to the picture (noise), the plain attempt stands. Of small
pictures, and of three attempts and more, real streams and real pixels count: a later attempt is kept where its bytes
are clearly fewer for its PSNR. For one more attempt at a large picture that would cost a third of the time, and no
photo tried was worse without; there the plain attempt is a draft, never written, and the comparison begins with the
second.
All of it is arithmetic on whole numbers, so the bytes are the same on every machine and with any number of threads.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.filter_fit import fit_filter
from laconic.codecs.targets import bytes_of_a_decibel, psnr
from laconic.codecs.tiles import wavelets
from laconic.container.filter_bits import write_filter
from laconic.quantize.rdo import SEARCHED_WEIGHT
from laconic.quantize.steps import base_step_units
from laconic.transform import color, lifting
from laconic.transform.network import precompensate
from laconic.transform.network import synthesize as synthesize_through

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from laconic.container import Header
    from laconic.transform.network import Network
    from laconic.transform.picture_filter import Filter
    from laconic.transform.workers import Workers

    Streams = Sequence[Sequence[bytes]]

__all__ = ["move_targets", "search"]

SHARE = 13
"""Sixteenths of the correction that are not coded (measured: 11 and 14 are within 0.1 % of bytes)."""
LIMIT = 1 << 13
"""Of the targets in 8-bit pictures: four times as far from gray as black and white, which lifting has room for."""
JUDGED_PIXELS = 1 << 17
"""Pictures of fewer pixels are written as whichever of two attempts is smaller for its PSNR."""
STRIP = 512
"""Rows whose targets are moved at a time; a multiple of 4."""
CLEARLY = 0.001
"""By how much of its bytes a later attempt must be better: how many a decibel is worth is known from typical photos."""


def search(
    pixels: NDArray[Any],
    bands: NDArray[Any],
    header: Header,
    network: Network,
    code: Callable[[NDArray[Any], float], Streams],
    draft: Callable[[NDArray[Any]], None],
    *,
    passes: int,
    workers: Workers,
) -> tuple[Streams, Filter | None]:
    """Return the best streams of several attempts, of a small picture the plain one among them, and their filter.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16
    bands : ndarray (C, H, W) int16 or int32
        Its coefficients, as `lifting.analyze` leaves them; overwritten, for a large picture fills memory.
    header : Header
    network : Network
        The one that the header names.
    code : callable
        Bands, and a factor on the weight of a bit -> streams by group and tile; bands become what a decoder makes of
        them.
    draft : callable
        Turns bands into what a decoder makes of their plain streams, in place.
    passes : int
        Attempts after the plain one.

    Returns
    -------
    (streams, own)
        Bytes by resolution group and tile; the filter of what they restore, or None.
    """
    kinds = wavelets(header.channels, lossless=False)
    best: tuple[Streams, Filter | None] = (), None
    price = math.inf

    def attempt(weight: float) -> None:
        """Code the bands, decode them, and keep the attempt if it is clearly cheaper than those before."""
        nonlocal best, price
        streams = code(bands, weight)
        lifting.synthesize(bands, kinds, workers=workers)
        size = sum(len(stream) for group in streams for stream in group)
        own = fit_filter(bands, pixels, header, network, size, workers)
        found = _price(pixels, bands, size, own, header, network, workers) if judges else -math.inf
        if found < price - CLEARLY:
            best, price = (streams, own), found

    small = header.width * header.height < JUDGED_PIXELS
    judges = small or passes > 1
    if small:
        attempt(1.0)
    else:
        draft(bands)
        lifting.synthesize(bands, kinds, workers=workers)
    for number in range(passes):
        if not move_targets(bands, pixels, header, network, workers) and number == 0:
            if not small:
                _restore(bands, pixels, workers)
                lifting.analyze(bands, kinds, workers=workers)
                attempt(1.0)
            break
        lifting.analyze(bands, kinds, workers=workers)
        attempt(SEARCHED_WEIGHT)
    return best


def _restore(planes: NDArray[Any], pixels: NDArray[Any], workers: Workers) -> None:
    """Overwrite planes with those of the picture, strip by strip."""
    for top in range(0, len(pixels), STRIP):
        rows = slice(top, top + STRIP)
        planes[:, rows] = color.analyze(pixels[rows], lossless=False, workers=workers)


def move_targets(
    planes: NDArray[Any], pixels: NDArray[Any], header: Header, network: Network, workers: Workers
) -> bool:
    """Overwrite decoded planes with the picture less a share of what the network adds to them.

    Strip by strip, for two more copies of a large picture would fill memory; a strip is overwritten when the next one
    has seen it. Returns whether that share would bring the decoded planes nearer to the picture.
    """
    step = base_step_units(header.step_code, depth=header.depth)
    limit = LIMIT if planes.dtype == np.int16 else LIMIT << 8
    height, reach, grown = planes.shape[1], 4 * network.blocks, 0
    done: tuple[NDArray[Any], NDArray[Any]] | None = None  # where a strip belongs, and what belongs there
    for top in range(0, height, STRIP):
        end = min(top + STRIP, height)
        first, last = max(top - reach, 0), min(end + reach, height)
        around = np.ascontiguousarray(planes[:, first:last])
        targets = color.analyze(pixels[first:last], lossless=False, workers=workers)
        rows = top - first, end - first
        grown += precompensate(
            around, targets, network, code=header.step_code, step=step, share=SHARE, workers=workers, rows=rows
        )
        if done:
            np.clip(done[1], -limit, limit, out=done[0])
        done = planes[:, top:end], targets[:, rows[0] : rows[1]]
    if done:
        np.clip(done[1], -limit, limit, out=done[0])
    return grown < 0


def _price(
    pixels: NDArray[Any],
    planes: NDArray[Any],
    size: int,
    own: Filter | None,
    header: Header,
    network: Network,
    workers: Workers,
) -> float:
    """Return the logarithm of the bytes of an attempt at equal PSNR."""
    step = base_step_units(header.step_code, depth=header.depth)
    shown = synthesize_through(planes, network, code=header.step_code, step=step, workers=workers, own=own)
    size += len(write_filter(own)) if own else 0
    return math.log(max(size, 1)) - bytes_of_a_decibel(header.step_code) * min(psnr(pixels, shown), 100.0)
