"""Rate-distortion curves and what follows from two of them, in memory and as JSON and CSV.

The JSON takes the layout that published curves of learned codecs use, `{name, description, results: {bpp, psnr-rgb,
ms-ssim-rgb, ...}}`, each list running over the qualities and averaged over the pictures (PSNR: mean of decibels); the
figures of each picture stand beside it, so that a later run or a report can average and compare anew.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from laconic.measure.deltas import RateDelta, bd_rate

METRICS = ("psnr-rgb", "ms-ssim-rgb", "ssimulacra2")
"""Figures that grow with quality: decibels; at most 1; 100 where no difference is seen."""
FIGURES = ("bpp", *METRICS, "encoding_time", "decoding_time")

Point = dict[str, float]
"""The figures of one picture at one quality; times in seconds. Metrics that were not computed are absent."""


@dataclass(frozen=True)
class Curve:
    """One codec over all pictures and qualities: `points[picture][k]` belongs to `qualities[k]`.

    Attributes
    ----------
    name, description, version, threads
        Of the codec, see `peers.AbstractPeer`.
    cached
        Whether any point came from an earlier run.
    """

    name: str
    description: str
    version: str
    threads: str
    qualities: tuple[float, ...]
    points: Mapping[str, Sequence[Point]]
    cached: bool = False

    def mean(self, figure: str) -> list[float]:
        """A figure averaged over the pictures, one value per quality."""
        table = [self.of(picture, figure) for picture in self.points]
        return [float(value) for value in np.mean(table, axis=0)]

    def of(self, picture: str, figure: str) -> list[float]:
        """A figure of one picture, one value per quality."""
        return [point.get(figure, math.nan) for point in self.points[picture]]

    def has(self, figure: str) -> bool:
        """Whether a figure is known at every point."""
        return all(math.isfinite(value) for picture in self.points for value in self.of(picture, figure))


@dataclass(frozen=True)
class Delta:
    """BD-rate of a codec against an anchor: of the averaged curves, and of each picture's own."""

    averaged: RateDelta
    per_picture: Mapping[str, RateDelta] = field(default_factory=dict[str, RateDelta])

    @property
    def meeting(self) -> dict[str, float]:
        """The pictures' own BD-rates in percent, of those whose curves meet."""
        return {name: own.percent for name, own in self.per_picture.items() if not math.isnan(own.percent)}

    @property
    def mean(self) -> float:
        """Mean of the pictures' own BD-rates in percent."""
        values = list(self.meeting.values())
        return float(np.mean(values)) if values else math.nan

    @property
    def median(self) -> float:
        """Median of the pictures' own BD-rates in percent."""
        values = list(self.meeting.values())
        return float(np.median(values)) if values else math.nan

    @property
    def worst(self) -> tuple[str, float]:
        """The picture whose BD-rate is the highest, and that figure in percent."""
        return max(self.meeting.items(), key=lambda item: item[1], default=("", math.nan))


def compare(curve: Curve, anchor: Curve, figure: str = "psnr-rgb") -> Delta:
    """BD-rate of one curve against another, both measured on the same pictures."""
    averaged = bd_rate(anchor.mean("bpp"), anchor.mean(figure), curve.mean("bpp"), curve.mean(figure))
    own = {
        name: bd_rate(anchor.of(name, "bpp"), anchor.of(name, figure), curve.of(name, "bpp"), curve.of(name, figure))
        for name in curve.points
    }
    return Delta(averaged, own)


def as_json(curve: Curve) -> dict[str, Any]:
    """One codec's results in the published layout, and the figures of each picture."""
    return {
        "name": curve.name,
        "description": curve.description,
        "version": curve.version,
        "threads": curve.threads,
        "from_cache": curve.cached,
        "qualities": list(curve.qualities),
        "results": {figure: _rounded(curve.mean(figure)) for figure in FIGURES if _known(curve, figure)},
        "pictures": {
            name: {figure: _rounded(curve.of(name, figure)) for figure in ("bytes", *FIGURES) if _known(curve, figure)}
            for name in curve.points
        },
    }


def from_json(codec: Mapping[str, Any]) -> Curve:
    """A curve as `as_json` wrote it.

    Raises
    ------
    KeyError, TypeError, ValueError
        For anything else.
    """
    qualities = tuple(float(quality) for quality in codec["qualities"])
    points: dict[str, list[Point]] = {}
    for name, figures in codec["pictures"].items():
        rows = [[math.nan if value is None else float(value) for value in values] for values in figures.values()]
        points[str(name)] = [dict(zip(figures, column, strict=True)) for column in zip(*rows, strict=True)]
        if len(points[name]) != len(qualities):
            raise ValueError(f"{len(points[name])} points of {name} for {len(qualities)} qualities")
    return Curve(
        name=str(codec["name"]),
        description=str(codec["description"]),
        version=str(codec["version"]),
        threads=str(codec["threads"]),
        qualities=qualities,
        points=points,
        cached=bool(codec["from_cache"]),
    )


def delta_as_json(delta: Delta) -> dict[str, Any]:
    """A BD-rate with both ways of averaging, their spread, and the points and the overlap they rest on."""
    worst, most = delta.worst
    return {
        "of_averaged_curves_percent": _number(delta.averaged.percent),
        "overlap_of_averaged_curves": _number(delta.averaged.overlap),
        "points_in_overlap": delta.averaged.points,
        "anchor_points_in_overlap": delta.averaged.anchor_points,
        "mean_of_pictures_percent": _number(delta.mean),
        "median_of_pictures_percent": _number(delta.median),
        "worst_of_pictures_percent": _number(most),
        "worst_picture": worst,
        "pictures_whose_curves_meet": len(delta.meeting),
        "pictures_percent": {name: _number(own.percent) for name, own in delta.per_picture.items()},
    }


def as_csv(curves: Iterable[Curve]) -> str:
    """Every point of every picture, one line each, for spreadsheets; empty where a metric was not computed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("codec", "picture", "quality", "bytes", *FIGURES))
    for curve in curves:
        for picture, points in curve.points.items():
            for quality, point in zip(curve.qualities, points, strict=True):
                figures = [_number(point.get(figure, math.nan)) for figure in FIGURES]
                writer.writerow((curve.name, picture, f"{quality:g}", f"{point['bytes']:.0f}", *figures))
    return text.getvalue()


def _known(curve: Curve, figure: str) -> bool:
    """Metrics that were not computed are left out; one that has no value at some point stays, with null there."""
    return figure not in METRICS or any(
        math.isfinite(value) for picture in curve.points for value in curve.of(picture, figure)
    )


def _number(value: float) -> float | None:
    """Six significant digits, and null for what JSON has no number for."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _rounded(values: Iterable[float]) -> list[float | None]:
    return [_number(value) for value in values]
