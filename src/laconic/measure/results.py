"""Result files of ``laconic bench`` read back: curves of one or several runs over the same photos.

The package carries a few published curves of other codecs on the Kodak photos (`kodak_published.json`, with sources).
They mean something beside a run over exactly these 24 photos, which are known by their pixels, and beside no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from laconic.errors import UsageError
from laconic.measure.curves import Curve, Point, from_json

SUBJECT = "laconic"


@dataclass(frozen=True)
class Run:
    """One result file: its record of machine, date and command, and its curves."""

    label: str
    facts: Mapping[str, Any]
    curves: tuple[Curve, ...]

    @property
    def photos(self) -> dict[str, str]:
        """Fingerprint of the pixels of each photo, by name."""
        return {name: str(photo["of"]) for name, photo in self.facts["photos"].items()}

    @property
    def megapixels(self) -> float:
        """Mean size of a photo in millions of pixels."""
        sizes = [photo["width"] * photo["height"] / 1e6 for photo in self.facts["photos"].values()]
        return sum(sizes) / len(sizes)


@dataclass(frozen=True)
class Published:
    """A curve that others published, with its source and, where there is one, a remark."""

    curve: Curve
    source: str


def read_run(path: Path) -> Run:
    """A result file.

    Raises
    ------
    UsageError
        When it is none, or one of a version that recorded too little.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        run = Run(path.stem, facts, tuple(from_json(codec) for codec in facts["codecs"]))
        if not run.curves or not run.photos or any(set(curve.points) != set(run.photos) for curve in run.curves):
            raise ValueError("curves and photos differ")
        _ = run.megapixels
    except OSError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no result of this version of `laconic bench` ({error!r})") from error
    return run


def merge(runs: Sequence[Run]) -> list[Curve]:
    """The curves of all runs, laconic's first; a name that several runs have gets the run's label added.

    Raises
    ------
    UsageError
        When two runs measured other photos, or no run measured laconic.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.photos != first.photos:
            raise UsageError(f"{first.label} and {run.label} measured different photos and cannot be compared")
    names = [curve.name for run in runs for curve in run.curves]
    curves: list[Curve] = []
    for number, run in enumerate(runs, 1):
        labels = [other.label for other in runs]
        label = run.label if labels.count(run.label) == 1 else f"{run.label} {number}"
        for curve in run.curves:
            # The first file's laconic keeps its name: it is the one that all others are compared with.
            alone = names.count(curve.name) == 1 or (run is first and curve.name == SUBJECT)
            curves.append(curve if alone else _renamed(curve, f"{curve.name} ({label})"))
    curves.sort(key=lambda curve: curve.name != SUBJECT)
    if curves[0].name != SUBJECT:
        raise UsageError(f"no result measured {SUBJECT}, or the first file did not")
    return curves


def published(photos: Mapping[str, str]) -> list[Published]:
    """Published curves, if these are the 24 Kodak photos; otherwise none."""
    table = json.loads(files("laconic.measure").joinpath("kodak_published.json").read_text(encoding="utf-8"))
    if sorted(photos.values()) != sorted(table["photos"]):
        return []
    found: list[Published] = []
    for entry in table["curves"]:
        figures = [figure for figure in ("bpp", "psnr-rgb", "ms-ssim-rgb") if figure in entry]
        points: list[Point] = [
            dict(zip(figures, values, strict=True))
            for values in zip(*(entry[figure] for figure in figures), strict=True)
        ]
        qualities = tuple(float(k) for k in range(len(points)))
        source = "; ".join(entry[key] for key in ("source", "note") if key in entry)
        found.append(Published(Curve(entry["name"], entry["name"], "", "", qualities, {"mean": points}), source))
    return found


def _renamed(curve: Curve, name: str) -> Curve:
    return Curve(
        name, curve.description, curve.version, curve.threads, curve.qualities, curve.points, cached=curve.cached
    )
