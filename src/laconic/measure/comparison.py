"""One run of several codecs over the same pictures, in one process, with real bytes and clocks."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from laconic.errors import UsageError
from laconic.measure import machine
from laconic.measure.curves import METRICS, Curve, Point, as_json, compare, delta_as_json
from laconic.measure.metrics import ms_ssim, psnr, ssimulacra2
from laconic.measure.peers import RGB, AbstractPeer

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm"})


@dataclass(frozen=True)
class Picture:
    """One picture to measure on: its name and (H, W, 3) uint8 pixels."""

    name: str
    pixels: RGB

    @property
    def megapixels(self) -> float:
        """Size in millions of pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1] / 1e6

    @property
    def fingerprint(self) -> str:
        """Of the pixels, 16 hexadecimal digits: the same for any file that holds them without loss."""
        return hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()[:16]


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


def measure_point(
    codec: AbstractPeer, pixels: RGB, quality: float, *, metrics: Sequence[str] = METRICS
) -> tuple[Point, RGB]:
    """Encode and decode one picture once; the clock covers nothing else.

    Parameters
    ----------
    metrics
        Which of `curves.METRICS` to compute; MS-SSIM takes longer than many codecs do, SSIMULACRA2 ten times that.
        The others are absent.
    """
    start = time.perf_counter()
    data = codec.encode(pixels, quality)
    middle = time.perf_counter()
    restored = codec.decode(data)
    end = time.perf_counter()
    point = {
        "bytes": float(len(data)),
        "bpp": 8 * len(data) / (pixels.shape[0] * pixels.shape[1]),
        **{name: metric(pixels, restored) for name, metric in _METRICS.items() if name in metrics},
        "encoding_time": middle - start,
        "decoding_time": end - middle,
    }
    return point, restored


def measure(
    codec: AbstractPeer,
    pictures: Sequence[Picture],
    qualities: Iterable[float] | None = None,
    *,
    metrics: Sequence[str] = METRICS,
    cache: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Curve:
    """Run one codec over pictures and qualities.

    Parameters
    ----------
    qualities
        The codec's own numbers; its default list when not given.
    metrics
        Which of `curves.METRICS` to compute.
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
            point = store.find(picture, quality, metrics)
            if point is None:
                point, _ = measure_point(codec, picture.pixels, quality, metrics=metrics)
                store.keep(picture, quality, point)
            points[picture.name].append(point)
            progress()
    store.write()
    return Curve(codec.name, codec.description, codec.version(), codec.threads, chosen, points, cached=store.used)


def report(curves: Sequence[Curve], pictures: Sequence[Picture], subject: str = "laconic") -> dict[str, Any]:
    """A whole run, ready for JSON: the record of the machine, the curves, and the subject against each other codec."""
    own = next((curve for curve in curves if curve.name == subject), None)
    others = [curve for curve in curves if own is not None and curve is not own]
    return {
        **machine.record({curve.name: curve.version for curve in curves}),
        "pictures": len(pictures),
        "megapixels": round(sum(picture.megapixels for picture in pictures), 3),
        "photos": {
            picture.name: {
                "width": picture.pixels.shape[1],
                "height": picture.pixels.shape[0],
                "of": picture.fingerprint,
            }
            for picture in pictures
        },
        "notes": (
            "Whole files in bytes. PSNR in RGB, mean of decibels. Times in seconds per picture, file access apart. "
            "BD-rates by PCHIP over log rate, null where two curves do not meet."
        ),
        "bd_rate": {
            f"{subject} against {other.name}": {
                figure: delta_as_json(compare(own, other, figure))
                for figure in METRICS
                if own.has(figure) and other.has(figure)
            }
            for other in others
            if own is not None
        },
        "codecs": [as_json(curve) for curve in curves],
    }


_METRICS = {"psnr-rgb": psnr, "ms-ssim-rgb": ms_ssim, "ssimulacra2": ssimulacra2}


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

    def find(self, picture: Picture, quality: float, metrics: Sequence[str]) -> Point | None:
        found = self.points.get(self._key(picture, quality)) if self.path is not None else None
        if found is None or not set(metrics) <= set(found):
            return None
        self.used = True
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
        return f"{picture.fingerprint}:{quality:g}"
