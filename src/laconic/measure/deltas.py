"""Bjontegaard deltas: how many more bytes one codec needs than another for the same quality.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves" (VCEG-M33, 2001), with piecewise cubic
Hermite interpolation (PCHIP) instead of one cubic, as the `bjontegaard` package computes it. The figure covers
only the qualities that both curves reach, so the share of them is always stated beside it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from laconic.measure.extras import need


@dataclass(frozen=True)
class RateDelta:
    """The rate of one curve against another.

    Attributes
    ----------
    percent
        Mean difference in rate at equal quality; negative saves bytes; not a number where the curves do not meet.
    overlap
        Share of the smaller quality range that both curves reach, 0..1.
    points, anchor_points
        How many points of each curve lie in the qualities that both reach.
    """

    percent: float
    overlap: float
    points: int = 0
    anchor_points: int = 0


def bd_rate(
    anchor_rate: Sequence[float],
    anchor_quality: Sequence[float],
    rate: Sequence[float],
    quality: Sequence[float],
) -> RateDelta:
    """Rate difference of a curve against an anchor curve, averaged over the qualities that both reach.

    Parameters
    ----------
    anchor_rate, rate
        Bits per pixel, more than zero, one per point.
    anchor_quality, quality
        Decibels, or any other figure that grows with quality, one per point.

    Raises
    ------
    UsageError
        When the ``bjontegaard`` package is not installed.
    """
    first = _rising(anchor_rate, anchor_quality)
    second = _rising(rate, quality)
    low = max(first[0][1], second[0][1]) if first and second else 0.0
    high = min(first[-1][1], second[-1][1]) if first and second else 0.0
    if min(len(first), len(second)) < 2 or high <= low:
        return RateDelta(math.nan, 0.0)
    smaller = min(first[-1][1] - first[0][1], second[-1][1] - second[0][1])
    package = need("bjontegaard", "for BD-rates")
    with warnings.catch_warnings():
        # The package warns of a small overlap; here it is a figure of its own.
        warnings.simplefilter("ignore")
        percent = package.bd_rate(
            [r for r, _ in first],
            [q for _, q in first],
            [r for r, _ in second],
            [q for _, q in second],
            method="pchip",
            require_matching_points=False,
            min_overlap=0.0,
        )
    within = [sum(low <= q <= high for _, q in points) for points in (second, first)]
    return RateDelta(float(percent), (high - low) / smaller, *within)


def _rising(rate: Sequence[float], quality: Sequence[float]) -> list[tuple[float, float]]:
    """Points by rate, without those that cost more than a point of at least their quality."""
    points: list[tuple[float, float]] = []
    for r, q in sorted(zip(rate, quality, strict=True), key=lambda point: (point[0], -point[1])):
        if r > 0 and math.isfinite(q) and (not points or q > points[-1][1]):
            points.append((r, q))
    return points
