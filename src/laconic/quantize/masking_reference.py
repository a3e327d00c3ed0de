"""Steps that grow with the contrast, written to be read: `spec/masking.md` sentence by sentence, for one tile.

Plain integers and numpy, no native code; `native/masking.h` is the fast one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["add_contrast", "apply_masks", "factors"]

LEVELS = 6
CONTRASTS = 96
ONE = 256


def energy(bands: Sequence[NDArray[Any]], *, wide: bool) -> NDArray[np.int64]:
    """Return the energy of luma in HL, LH and HH of a level, at every place of its low band."""
    # "The places are those of the low band of the level"
    found = np.zeros((bands[0].shape[0], bands[1].shape[1]), np.int64)
    for orientation, band in enumerate(bands):
        # "... of 16-bit pictures without its 8 low bits (arithmetic shift), limited to -32767 .. 32767"
        c = np.clip(np.asarray(band, np.int64) >> (8 if wide else 0), -32767, 32767)
        # "of HH floor(3 c^2 / 8)"
        found[: c.shape[0], : c.shape[1]] += c * c * 3 // 8 if orientation == 2 else c * c
    return found


def smooth(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return values averaged with those beside them, down, then across; at an edge a value is its own neighbor."""
    for axis in (0, 1):
        around = np.pad(values, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        before, after = (np.take(around, range(k, k + values.shape[axis]), axis) for k in (0, 2))
        # "floor((6 v + the one before + the one after) / 8)"
        values = (6 * values + before + after) >> 3
    return values


def doubled(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return at (y, x) the value at (floor(y / 2), floor(x / 2))."""
    return values[np.arange(shape[0])[:, None] >> 1, np.arange(shape[1])[None] >> 1]


def contrast(energies: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the contrast, 0 .. 95, of each energy."""
    found = np.zeros(energies.shape, np.int64)
    for place, value in np.ndenumerate(energies):
        if value:
            # "4 e plus the two bits below the leading one of 4 E, e = floor(log2 E), at most 95"
            e = int(value).bit_length() - 1
            found[place] = min(4 * e + (4 * int(value) >> e) % 4, CONTRASTS - 1)
    return found


def add_contrast(
    coarser: NDArray[np.int64] | None, bands: Sequence[NDArray[Any]], *, wide: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Measure luma at one level more.

    Parameters
    ----------
    coarser : ndarray (h', w') int64 or None
        The energy up to the level before, None before level 6.
    bands : HL, LH and HH of luma at this level, decoded

    Returns
    -------
    energy : ndarray (h, w) int64
        Up to this level, for the next call.
    contrast : ndarray (h, w) int64
        0 .. 95, which the next finer level is masked by.
    """
    found = smooth(energy(bands, wide=wide))
    if coarser is not None:
        # "a quarter, rounded down, of that of the level above at (floor(y / 2), floor(x / 2)) is added"
        found += doubled(coarser >> 2, found.shape)
    return found, contrast(found)


def factors(
    contrasts: NDArray[np.int64] | None, mask: NDArray[np.uint16], level: int, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return the factors (h, w) of a band of a level, in 1/256, from the contrasts of the level above."""
    if contrasts is None or not np.prod(shape):
        return np.full(shape, ONE, np.int64)
    return mask[level - 1].astype(np.int64)[doubled(contrasts, shape)]


def apply_masks(
    values: Sequence[Sequence[NDArray[Any]]],
    masks: Sequence[NDArray[np.uint16]],
    limits: tuple[int, int],
) -> list[list[NDArray[np.int64]]]:
    """Scale dequantized symbols of a tile by the factors of their places.

    Parameters
    ----------
    values : [P][19] arrays (h, w)
        Luma first; not yet limited.
    masks : [P] arrays (5, 96)
        The factors of each plane by level and contrast, 256 is 1.0.
    limits : (int, int)
        Of coefficients; those of 16-bit pictures are beyond 16 bits.

    Returns
    -------
    [P][19] arrays (h, w) int64, limited
    """
    low, high = limits
    whole = [[np.clip(np.asarray(band, np.int64), low, high) for band in plane] for plane in values]
    energies = contrasts = None
    for level in range(LEVELS, 0, -1):
        first = 1 + 3 * (LEVELS - level)
        for plane, mask in enumerate(masks):
            for band in range(first, first + 3):
                given = np.asarray(values[plane][band], np.int64)
                factor = factors(contrasts, mask, level, given.shape)
                # "Its magnitude becomes floor((m f + 128) / 256)"
                whole[plane][band] = np.clip(np.sign(given) * ((np.abs(given) * factor + 128) >> 8), low, high)
        energies, contrasts = add_contrast(energies, whole[0][first : first + 3], wide=high > 1 << 16)
    return whole
