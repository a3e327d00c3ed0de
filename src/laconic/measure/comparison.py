"""One run of several codecs over the same pictures, in one process, with real bytes and clocks.

Results take the layout that published curves of learned codecs use, `{name, description, results: {bpp, psnr-rgb,
ms-ssim-rgb, encoding_time, decoding_time}}`, each list running over the qualities and averaged over the pictures
(PSNR: mean of decibels); the figures of each picture stand beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from laconic.errors import UsageError
from laconic.measure import machine
from laconic.measure.deltas import RateDelta, bd_rate
from laconic.measure.metrics import ms_ssim, psnr
from laconic.measure.peers import RGB, AbstractPeer

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"})
FIGURES = ("bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time")

Point = dict[str, float]
"""The figures of one picture at one quality; times in seconds."""


@dataclass(frozen=True)
class Picture:
    """One picture to measure on: its name and (H, W, 3) uint8 pixels."""

    name: str
    pixels: RGB

    @property
    def megapixels(self) -> float:
        """Size in millions of pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1] / 1e6


@dataclass(frozen=True)
class Curve:
    """One codec over all pictures and qualities: `points[picture][k]` belongs to `qualities[k]`."""

    codec: AbstractPeer
    qualities: tuple[float, ...]
    points: Mapping[str, Sequence[Point]]
    cached: bool = False

    def mean(self, figure: str) -> list[float]:
        """A figure averaged over the pictures, one value per quality."""
        table = [[point[figure] for point in points] for points in self.points.values()]
        return [float(value) for value in np.mean(table, axis=0)]

    def of(self, picture: str, figure: str) -> list[float]:
        """A figure of one picture, one value per quality."""
        return [point[figure] for point in self.points[picture]]


@dataclass(frozen=True)
class Delta:
    """BD-rate of a codec against an anchor: of the averaged curves, and the mean over pictures of their own."""

    averaged: RateDelta
    per_picture: Mapping[str, RateDelta] = field(default_factory=dict[str, RateDelta])

    @property
    def mean(self) -> float:
        """Mean of the pictures' own BD-rates in percent, over those whose curves meet."""
        values = [delta.percent for delta in self.per_picture.values() if not math.isnan(delta.percent)]
        return float(np.mean(values)) if values else math.nan


def load_pictures(folder: Path) -> list[Picture]:
    """Every photo of a folder as 8-bit RGB, by name.

    Raises
    ------
    UsageError
        When the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of pictures")
    pictures: list[Picture] = []
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            with Image.open(path) as image:
                pictures.append(Picture(path.name, np.asarray(image.convert("RGB"))))
    if not pictures:
        raise UsageError(f"{folder} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return pictures


def measure_point(codec: AbstractPeer, pixels: RGB, quality: float, *, similarity: bool = True) -> tuple[Point, RGB]:
    """Encode and decode one picture once; the clock covers nothing else.

    Parameters
    ----------
    similarity
        Whether to compute MS-SSIM, which takes longer than many codecs do; otherwise it is not a number.
    """
    start = time.perf_counter()
    data = codec.encode(pixels, quality)
    middle = time.perf_counter()
    restored = codec.decode(data)
    end = time.perf_counter()
    point = {
        "bytes": float(len(data)),
        "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        "psnr-rgb": psnr(pixels, restored),
        "ms-ssim-rgb": ms_ssim(pixels, restored) if similarity else math.nan,
        "encoding_time": middle - start,
        "decoding_time": end - middle,
    }
    return point, restored


def measure(
    codec: AbstractPeer,
    pictures: Sequence[Picture],
    qualities: Iterable[float] | None = None,
    *,
    cache: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Curve:
    """Run one codec over pictures and qualities.

    Parameters
    ----------
    qualities
        The codec's own numbers; its default list when not given.
    cache
        A folder of earlier results of the same version of the codec. Never for a published figure: clocks of
        another day are not comparable. The curve says whether any point came from there.
    progress
        Called after each point.
    """
    chosen = tuple(codec.qualities if qualities is None else qualities)
    store = _Cache(cache, codec)
    points: dict[str, list[Point]] = {picture.name: [] for picture in pictures}
    for picture in pictures:
        for quality in chosen:
            point = store.find(picture, quality)
            if point is None:
                point, _ = measure_point(codec, picture.pixels, quality)
                store.keep(picture, quality, point)
            points[picture.name].append(point)
            progress()
    store.write()
    return Curve(codec, chosen, points, cached=store.used)


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
        "name": curve.codec.name,
        "description": curve.codec.description,
        "version": curve.codec.version(),
        "threads": curve.codec.threads,
        "from_cache": curve.cached,
        "qualities": list(curve.qualities),
        "results": {figure: _rounded(curve.mean(figure)) for figure in FIGURES},
        "pictures": {
            name: {figure: _rounded(curve.of(name, figure)) for figure in FIGURES if not figure.endswith("_time")}
            for name in curve.points
        },
    }


def delta_as_json(delta: Delta) -> dict[str, Any]:
    """A BD-rate with both ways of averaging and the overlap it rests on."""
    return {
        "of_averaged_curves_percent": _rounded([delta.averaged.percent])[0],
        "overlap_of_averaged_curves": _rounded([delta.averaged.overlap])[0],
        "mean_of_pictures_percent": _rounded([delta.mean])[0],
        "pictures_percent": dict(
            zip(delta.per_picture, _rounded([d.percent for d in delta.per_picture.values()]), strict=True)
        ),
    }


def report(curves: Sequence[Curve], pictures: Sequence[Picture], subject: str = "laconic") -> dict[str, Any]:
    """A whole run, ready for JSON: the record of the machine, the curves, and the subject against each other codec."""
    own = next((curve for curve in curves if curve.codec.name == subject), None)
    others = [curve for curve in curves if own is not None and curve is not own]
    return {
        **machine.record({curve.codec.name: curve.codec.version() for curve in curves}),
        "pictures": len(pictures),
        "megapixels": round(sum(picture.megapixels for picture in pictures), 3),
        "notes": (
            "Whole files in bytes. PSNR in RGB, mean of decibels. Times in seconds per picture, file access apart. "
            "BD-rates by PCHIP over log rate."
        ),
        "bd_rate": {
            f"{subject} against {other.codec.name}": {
                figure: delta_as_json(compare(own, other, figure)) for figure in ("psnr-rgb", "ms-ssim-rgb")
            }
            for other in others
            if own is not None
        },
        "codecs": [as_json(curve) for curve in curves],
    }


class _Cache:
    """Points of earlier runs, by picture contents and quality, in one file per codec and version."""

    def __init__(self, folder: Path | None, codec: AbstractPeer) -> None:
        self.path: Path | None = None
        self.points: dict[str, Point] = {}
        self.used = False
        if folder is not None:
            kind = hashlib.sha256(f"{codec.description} {codec.version()}".encode()).hexdigest()[:12]
            self.path = folder / f"{codec.name}-{kind}.json"
            if self.path.exists():
                self.points = json.loads(self.path.read_text(encoding="utf-8"))

    def find(self, picture: Picture, quality: float) -> Point | None:
        found = self.points.get(self._key(picture, quality)) if self.path is not None else None
        self.used |= found is not None
        return found

    def keep(self, picture: Picture, quality: float, point: Point) -> None:
        if self.path is not None:
            self.points[self._key(picture, quality)] = point

    def write(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(self.points), encoding="utf-8")

    @staticmethod
    def _key(picture: Picture, quality: float) -> str:
        content = hashlib.sha256(repr(picture.pixels.shape).encode() + picture.pixels.tobytes()).hexdigest()[:16]
        return f"{content}:{quality:g}"


def _rounded(values: Iterable[float]) -> list[float | None]:
    """Six significant digits, and null for what JSON has no number for."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
