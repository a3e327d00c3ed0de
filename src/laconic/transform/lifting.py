"""The wavelet: planes <-> bands by lifting, six levels, over the whole picture so that tiles leave no seams.

CDF 9/7 (Daubechies & Sweldens 1998) for lossy planes, the reversible 5/3 for lossless ones, both in integers: see
`native/lifting.h` for the steps and `lifting_reference.py` for the same in numpy. After each level the low band lies
top left, HL (horizontally high) right of it, LH below, HH diagonally; the next level splits the low band.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.transform.workers import Workers

__all__ = ["LEVELS", "Wavelet", "analyze", "lift", "synthesize", "synthesize_window"]

LEVELS = 6
LINES = 64  # lines in one piece of work; columns are lifted 64 at a time


class Wavelet(IntEnum):
    """The wavelets, numbered as in `native/lifting.h`."""

    CDF97 = 0
    REVERSIBLE53 = 1


def analyze(planes: NDArray[Any], wavelets: list[Wavelet], *, workers: Workers) -> None:
    """Turn planes into bands, in place.

    Parameters
    ----------
    planes : ndarray (P, H, W) int16 or int32, C-contiguous
    wavelets : list of Wavelet
        One for each plane.
    """
    for level in range(LEVELS):
        height, width = low_shape(planes, level)
        lift(planes, wavelets, workers, columns=False, extent=width, across=height, inverse=False)
        lift(planes, wavelets, workers, columns=True, extent=height, across=width, inverse=False)


def synthesize(planes: NDArray[Any], wavelets: list[Wavelet], *, workers: Workers) -> None:
    """Turn bands back into planes, in place: the steps of `analyze` undone in reverse order."""
    for level in reversed(range(LEVELS)):
        height, width = low_shape(planes, level)
        lift(planes, wavelets, workers, columns=True, extent=height, across=width, inverse=True)
        lift(planes, wavelets, workers, columns=False, extent=width, across=height, inverse=True)


def synthesize_window(
    planes: NDArray[Any],
    wavelets: list[Wavelet],
    windows: Sequence[tuple[int, int, int, int]],
    *,
    scale: int,
    workers: Workers,
) -> NDArray[Any]:
    """Turn the bands of a part of the picture into its planes, at full size or smaller.

    Parameters
    ----------
    planes : ndarray (P, H, W) int16 or int32
        Bands of the whole picture; only the windows are read.
    windows : sequence of (top, bottom, left, right)
        For levels 0 .. 6 what is needed of the low band, see `codecs.view.View`.
    scale : int
        The level at which to stop: 0 is full size, k is 1 / 2^k.

    Returns
    -------
    ndarray (P, h, w) of the window of level `scale`, of the type of `planes`
    """
    top, bottom, left, right = windows[LEVELS]
    low = planes[:, top:bottom, left:right]
    for level in range(LEVELS, scale, -1):
        height, width = low_shape(planes, level - 1)
        low_height, low_width = low_shape(planes, level)
        top, bottom, left, right = windows[level]
        high_bottom, high_right = min(bottom, height // 2), min(right, width // 2)
        rows, columns = bottom - top + high_bottom - top, right - left + high_right - left
        part = np.empty((len(planes), rows, columns), planes.dtype)
        part[:, : bottom - top, : right - left] = low
        part[:, : bottom - top, right - left :] = planes[:, top:bottom, low_width + left : low_width + high_right]
        part[:, bottom - top :, : right - left] = planes[:, low_height + top : low_height + high_bottom, left:right]
        part[:, bottom - top :, right - left :] = planes[
            :, low_height + top : low_height + high_bottom, low_width + left : low_width + high_right
        ]
        lift(part, wavelets, workers, columns=True, extent=rows, across=columns, inverse=True)
        lift(part, wavelets, workers, columns=False, extent=columns, across=rows, inverse=True)
        # The window starts at the even sample 2 * top.
        finer = windows[level - 1]
        low = part[:, finer[0] - 2 * top : finer[1] - 2 * top, finer[2] - 2 * left : finer[3] - 2 * left]
    return np.ascontiguousarray(low)


def low_shape(planes: NDArray[Any], level: int) -> tuple[int, int]:
    """Return (height, width) of the low band after `level` splits."""
    height, width = planes.shape[1:]
    return -(-height >> level), -(-width >> level)


def lift(
    planes: NDArray[Any],
    wavelets: list[Wavelet],
    workers: Workers,
    *,
    columns: bool,
    extent: int,
    across: int,
    inverse: bool,
) -> None:
    """Lift the first `extent` samples of the first `across` rows, or columns, of every plane, in place."""
    pieces = [(plane, span) for plane in range(len(planes)) for span in workers.spans(across, LINES)]
    workers.each(
        lambda piece: _native.lift(planes[piece[0]], columns, extent, *piece[1], int(wavelets[piece[0]]), inverse),
        pieces,
    )
