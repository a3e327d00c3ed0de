"""The wavelets a second time, written to be read: plain numpy beside the sentences of `spec/entropy.md`.

`transform/lifting.py` calls the fast ones in `native/lifting.h`; both give the same integers for any input, because
every rounding is stated and a sample that leaves the range of its type wraps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["analyze", "join", "split", "synthesize"]

LEVELS = 6

# "The constants of the 9/7 in units of 2^-15."
ALPHA, BETA, GAMMA, DELTA, UNIT, EXCESS = 19206, 1736, 28931, 14533, 26637, 7542


def analyze(plane: NDArray[Any], *, reversible: bool) -> NDArray[Any]:
    """Return the bands of a plane (H, W) int16 or int32, all in one array of the same shape."""
    bands = plane.copy()
    for level in range(LEVELS):
        height, width = -(-plane.shape[0] >> level), -(-plane.shape[1] >> level)
        # "Level l splits the low band of level l - 1: every row first, then every column."
        region = bands[:height, :width]
        region = np.concatenate(split(region, reversible=reversible), axis=1)
        bands[:height, :width] = np.concatenate(split(region.T, reversible=reversible), axis=1).T
    return bands


def synthesize(bands: NDArray[Any], *, reversible: bool) -> NDArray[Any]:
    """Return the plane of an array of bands: `analyze` undone."""
    plane = bands.copy()
    for level in reversed(range(LEVELS)):
        height, width = -(-bands.shape[0] >> level), -(-bands.shape[1] >> level)
        # "Synthesis goes from level 6 to level 1, columns first, then rows."
        region = plane[:height, :width].T
        low = (height + 1) // 2
        region = join(region[:, :low], region[:, low:], reversible=reversible).T
        low = (width + 1) // 2
        plane[:height, :width] = join(region[:, :low], region[:, low:], reversible=reversible)
    return plane


def split(signals: NDArray[Any], *, reversible: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return (low, high) of signals (K, n) along the last axis: K x ceil(n / 2) and K x floor(n / 2) samples."""
    # "s holds the even samples, d the odd ones."
    s, d = signals[:, 0::2].copy(), signals[:, 1::2].copy()
    # "A signal of one sample is its own low band."
    if d.shape[1] == 0:
        return s, d
    if reversible:
        d -= half_step(*beside_high(s, d))
        s += quarter_step(*beside_low(s, d))
        return s, d
    d -= alpha_step(*beside_high(s, d))
    s -= beta_step(*beside_low(s, d))
    d += plain_step(*beside_high(s, d), GAMMA)
    s += plain_step(*beside_low(s, d), DELTA)
    # "Last, s becomes round(s * UNIT); d stays."
    return scaled(s, UNIT), d


def join(low: NDArray[Any], high: NDArray[Any], *, reversible: bool) -> NDArray[Any]:
    """Return the signals of (low, high): the steps of `split` undone from the last to the first."""
    s, d = low.copy(), high.copy()
    if d.shape[1] and reversible:
        s -= quarter_step(*beside_low(s, d))
        d += half_step(*beside_high(s, d))
    elif d.shape[1]:
        # "s becomes s + round(s * EXCESS): 1.230174105 times s."
        s += scaled(s, EXCESS)
        s -= plain_step(*beside_low(s, d), DELTA)
        d -= plain_step(*beside_high(s, d), GAMMA)
        s += beta_step(*beside_low(s, d))
        d += alpha_step(*beside_high(s, d))
    signals = np.empty((len(s), s.shape[1] + d.shape[1]), s.dtype)
    signals[:, 0::2], signals[:, 1::2] = s, d
    return signals


def beside_high(s: NDArray[Any], d: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return s[i] and s[i + 1] for every d[i]."""
    # "Beyond the end of a signal of even length the last s repeats."
    extended = np.concatenate([s, s[:, -1:]], axis=1)
    count = d.shape[1]
    return extended[:, :count], extended[:, 1 : count + 1]


def beside_low(s: NDArray[Any], d: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return d[i - 1] and d[i] for every s[i]."""
    # "Before the start the first d repeats, and beyond the end of a signal of odd length the last one."
    extended = np.concatenate([d[:, :1], d, d[:, -1:]], axis=1)
    count = s.shape[1]
    return extended[:, :count], extended[:, 1 : count + 1]


def scaled(x: NDArray[Any], constant: int) -> NDArray[Any]:
    """Return round(x * constant / 2^15), halves upward."""
    return ((x.astype(np.int64) * constant + (1 << 14)) >> 15).astype(x.dtype)


def alpha_step(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return what is taken from d: 1.586 (a + b)."""
    # "With t = a + b: t + round(t * ALPHA)." The constant is above 1, so one t is added as it is.
    total = a + b
    return total + scaled(total, ALPHA)


def beta_step(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return what is taken from s: 0.053 (a + b)."""
    # "With t = floor(a / 2) + floor((b + 1) / 2): round(t * 2 BETA)." The sum of two such d may leave 16 bits.
    return scaled((a >> 1) + ((b.astype(np.int32) + 1) >> 1).astype(b.dtype), 2 * BETA)


def plain_step(a: NDArray[Any], b: NDArray[Any], constant: int) -> NDArray[Any]:
    """Return round((a + b) * constant)."""
    return scaled(a + b, constant)


def half_step(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return floor((a + b) / 2)."""
    # "The sums of the 5/3 are formed in 32 bits."
    return ((a.astype(np.int32) + b.astype(np.int32)) >> 1).astype(a.dtype)


def quarter_step(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Return floor((a + b + 2) / 4)."""
    return ((a.astype(np.int32) + b.astype(np.int32) + np.int32(2)) >> 2).astype(a.dtype)
