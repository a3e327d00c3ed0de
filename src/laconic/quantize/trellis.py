"""Entropy-coded trellis-coded quantization: values -> levels by the Viterbi algorithm with the rate in the loop.

A scalar quantizer with the best entropy coder stays a quarter of a bit above the rate-distortion bound; choosing among
the points of two interleaved quantizers along a path wins most of that back (Marcellin & Fischer, IEEE Trans. Commun.
38(1), 1990; Fischer & Wang, IEEE Trans. Inf. Theory 38(2), 1992). The states and points are in `native/trellis.h`, the
search in `native/trellis_search.h`, what it goes by in `native/trellis_fit.h`.

Quantizer 1 has no zero, so that the points of the two interleave perfectly. Where most values become zero anyway, below
about one bit per value, it is better to give it one: `LevelLayout.shared_zero`.

The decoder multiplies whole numbers of 1/64 step with the step in float32: one rounding, the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_OFFSET", "OFFSETS", "SLOPE", "Estimate", "Levels", "dequantize", "estimate", "quantize"]

OFFSETS = 6
MOST_OFFSET = 48
POINTS_PER_STEP = 64
SLOPE = 0.35
"""Squared steps that a bit is worth: lambda = SLOPE * step^2 is within a hundredth of a bit of the best step for a
lambda, from half a bit per value up (measured on Gaussian and Laplace sources)."""
ROUNDS = 5


@dataclass(frozen=True, eq=False)
class Levels:
    """What `quantize` chose.

    `levels` (n,) int32; `offsets` are six integers in 1/64 step: how far the points of magnitude 1, 2 and above lie
    inward, quantizer 0 first.
    """

    levels: NDArray[np.int32]
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Estimate:
    """What quantizing would cost: bits per value and mean squared error in squared units of the values."""

    bits: float
    error: float


def quantize(
    values: NDArray[np.float32],
    step: float,
    layout: tuple[int, int, int, int, int, bool],
    *,
    slope: float = SLOPE,
    sample: int = 65536,
) -> Levels:
    """Choose the levels with the least squared error + slope * step^2 * bits.

    Parameters
    ----------
    values : ndarray (n,) float32
        Finite, n >= 1.
    step : float
        Above 0; at least the largest magnitude / 65,000.
    layout : tuple of int
        The fields of `entropy.levels.LevelLayout`; of its tokens only the limit is needed.
    slope : float
        Squared steps per bit.
    sample : int
        How many values the prices and points are learned from.
    """
    x = np.ascontiguousarray(values * np.float32(1 / step), np.float32)
    levels, offsets, _, _ = _native.search_trellis(x, layout, slope, sample, ROUNDS, True)
    return Levels(levels, tuple(offsets))


def estimate(
    values: NDArray[np.float32],
    step: float,
    layout: tuple[int, int, int, int, int, bool],
    *,
    slope: float = SLOPE,
    sample: int = 32768,
) -> Estimate:
    """Tell what `quantize` would come to, from a sample."""
    x = np.ascontiguousarray(values * np.float32(1 / step), np.float32)
    _, _, bits, squares = _native.search_trellis(x, layout, slope, sample, ROUNDS, False)
    return Estimate(bits, squares * step * step)


def dequantize(points: NDArray[Any], step: np.float32 | NDArray[np.float32]) -> NDArray[np.float32]:
    """Points in 1/64 step -> values; both factors are exact in float32, so only the product is rounded."""
    return points.astype(np.float32) * (step / np.float32(POINTS_PER_STEP))
