"""Color: RGB <-> luma and two color differences, each sample by itself.

Lossy: BT.601 full range Y, Cb, Cr around zero, in 1/16 pixel units. Lossless: exact in integers, in one of `COLORS`
ways, of which the first is YCoCg-R (Malvar & Sullivan 2003); `color_choice` finds the one that serves a picture. Gray
is the Y plane alone; alpha is always kept exactly, as a plane of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.transform.workers import Workers

__all__ = ["COLORS", "ORDERS", "analyze", "synthesize"]

ROWS = 64  # enough pixels in one piece of work to pay for handing it to a thread

ORDERS = ((1, 0, 2), (1, 2, 0), (0, 1, 2), (0, 2, 1), (2, 1, 0), (2, 0, 1))
"""The orders in which R, G and B (0, 1, 2) may be the channels a, b, c of a reversible way."""
COLORS = 5 * len(ORDERS)
"""Reversible colors: number ``6 way + order``. The ways are listed in `spec/entropy.md`, section 9."""


def analyze(pixels: NDArray[Any], *, lossless: bool, workers: Workers, colors: int = 0) -> NDArray[Any]:
    """Turn pixels into planes.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16, C-contiguous
        C = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
    lossless : bool
        Reversible integers instead of Y, Cb, Cr in 1/16 pixel units. Alpha is reversible in any case.
    colors : int
        0 .. `COLORS` - 1, for lossless planes of three or four channels.

    Returns
    -------
    ndarray (C, H, W) int16 for uint8 pixels, int32 for uint16
    """
    height, width, channels = pixels.shape
    planes = np.empty((channels, height, width), np.int16 if pixels.dtype == np.uint8 else np.int32)
    workers.each(
        lambda rows: _native.analyze_color(pixels, planes, lossless, *rows, colors), list(workers.spans(height, ROWS))
    )
    return planes


def synthesize(planes: NDArray[Any], *, lossless: bool, workers: Workers, colors: int = 0) -> NDArray[Any]:
    """Turn planes back into pixels, rounded and clipped to the range of their type.

    Parameters
    ----------
    planes : ndarray (C, H, W) int16 or int32, C-contiguous
    lossless, colors
        As for `analyze`.

    Returns
    -------
    ndarray (H, W, C) uint8 for int16 planes, uint16 for int32
    """
    channels, height, width = planes.shape
    pixels = np.empty((height, width, channels), np.uint8 if planes.dtype == np.int16 else np.uint16)
    workers.each(
        lambda rows: _native.synthesize_color(pixels, planes, lossless, *rows, colors),
        list(workers.spans(height, ROWS)),
    )
    return pixels
