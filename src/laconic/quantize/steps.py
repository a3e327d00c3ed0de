"""From one number to the step of every band.

The base step is 0.25 * 2^(code / 64) of an 8-bit pixel, code 0 .. 767. Each band's own step is the base step times a
ratio from the model, which holds one over the band's share of the error in RGB and what training found beyond that.
All of it is integer arithmetic: a decoder's steps decide pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CODES", "band_steps", "base_step", "base_step_units", "ideal_ratio"]

CODES = 768
CODES_PER_OCTAVE = 64
DEEP_SCALE = 257  # 65535 / 255: a 16-bit sample is so much larger than the 8-bit sample of the same gray

# round(65536 * 2^(i / 64)), listed so that no machine's exponential decides a byte.
EXP2 = (
    65536, 66250, 66971, 67700, 68438, 69183, 69936, 70698, 71468, 72246, 73032, 73828,
    74632, 75444, 76266, 77096, 77936, 78785, 79642, 80510, 81386, 82273, 83169, 84074,
    84990, 85915, 86851, 87796, 88752, 89719, 90696, 91684, 92682, 93691, 94711, 95743,
    96785, 97839, 98905, 99982, 101070, 102171, 103283, 104408, 105545, 106694, 107856, 109031,
    110218, 111418, 112631, 113858, 115098, 116351, 117618, 118899, 120194, 121502, 122825, 124163,
    125515, 126882, 128263, 129660,
)  # fmt: skip


def base_step(code: int) -> float:
    """Return the base step in 8-bit pixel units, for people to read; nothing is computed from it."""
    return 0.25 * 2.0 ** (code / CODES_PER_OCTAVE)


def base_step_units(code: int, *, depth: int) -> int:
    """Return the base step in 1/4096 of a level of 8-bit samples, for 16-bit ones times 257."""
    return int(band_steps(code, np.array([[4096]], np.uint16), depth=depth)[0, 0])


def band_steps(code: int, ratio: NDArray[np.uint16], *, depth: int) -> NDArray[np.uint32]:
    """Return the steps of all bands, in 1/256 of a transform unit (1/4096 of a pixel).

    Parameters
    ----------
    code : int
        0 .. 767.
    ratio : ndarray (P, 19) uint16
        Step of a band over the base step, times 4096.
    depth : int
        8 or 16 bits a sample.

    Returns
    -------
    ndarray (P, 19) uint32
    """
    octave, fraction = divmod(code, CODES_PER_OCTAVE)
    steps = ((ratio.astype(np.uint64) * np.uint64(EXP2[fraction])) << np.uint64(octave)) >> np.uint64(18)
    if depth == 16:
        steps *= np.uint64(DEEP_SCALE)
    return np.maximum(steps, 16).astype(np.uint32)


# L2 norms of the 9/7 synthesis functions as `native/lifting.h` scales them, levels 1 .. 6, in one dimension.
HIGH_NORMS = (0.88728, 1.20984, 1.77386, 2.55109, 3.62572, 5.13424)
LOW_NORMS = (1.40211, 2.03037, 2.90116, 4.11529, 5.82451, 8.23876)
# Root mean square error in RGB of a unit error in Y, Cb, Cr.
PLANE_NORMS = (1.0, 1.04220, 0.90842)


def ideal_ratio(planes: int) -> NDArray[np.float64]:
    """Return the ratio at which an error of one step in any band is the same error in RGB.

    Returns
    -------
    ndarray (P, 19) float64
    """
    bands = [LOW_NORMS[-1] ** 2]
    for high, low in zip(reversed(HIGH_NORMS), reversed(LOW_NORMS), strict=True):
        bands += [high * low, high * low, high * high]
    return 1.0 / (np.asarray(PLANE_NORMS[:planes])[:, None] * np.asarray(bands)[None, :])
