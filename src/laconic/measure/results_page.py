"""The page of one or several runs: what ``laconic report`` writes.

Plots, tables and spread come from the result files alone. Pictures are made anew from the photos: laconic's at two of
the measured qualities, and each peer's file of as many bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from laconic.measure.comparison import Picture
from laconic.measure.curves import METRICS, Curve, Delta, compare
from laconic.measure.equal_bytes import near_bytes
from laconic.measure.metrics import psnr
from laconic.measure.own import Laconic
from laconic.measure.peers import AbstractPeer
from laconic.measure.results import SUBJECT, Published, Run, merge, published
from laconic.measure.showing import as_file_or_pixels, original, spent, without_loss
from laconic.viewer.charts import Chart, Line
from laconic.viewer.report import Cell, Level, Panel, Rendition, Report, Scene, Table

LABELS = {"psnr-rgb": "PSNR", "ms-ssim-rgb": "MS-SSIM", "ssimulacra2": "SSIMULACRA2"}
AXES = {
    "psnr-rgb": "PSNR in RGB, dB",
    "ms-ssim-rgb": "MS-SSIM in dB: \N{MINUS SIGN}10 log10(1 \N{MINUS SIGN} x)",
    "ssimulacra2": "SSIMULACRA2",
}
FLOORS = {"ssimulacra2": 0.0}
"""Below zero the score of a picture says only that it is bad."""
CAPTION = (
    "Bytes of laconic against the codec at equal quality: below zero laconic needs fewer. Averaged: of the curves "
    "averaged over the photos. Median, worst: of the photos' own curves. Points: laconic's and the codec's within the "
    "qualities that both reach; overlap: the share of the smaller range of quality that both reach. A dash: the curves "
    "do not meet."
)
HIGHLIGHTED = ("jpeg", "webp", "jxl", "avif", "hevc")
"""Whose figures stand at the top of the page, where they were measured."""
RATES = (0.25, 0.75)
"""Bits per pixel near which pictures are shown."""


def results_page(runs: Sequence[Run], scenes: Sequence[Scene]) -> Report:
    """Everything that the results say, and the pictures that go with them.

    Raises
    ------
    UsageError
        When the runs cannot be compared.
    """
    curves = merge(runs)
    subject, peers = curves[0], curves[1:]
    others = published(runs[0].photos)
    panels = [_panel(figure, curves, others) for figure in METRICS if subject.has(figure)]
    count = len(subject.points)
    speeds = {curve.name: _speeds(curve, runs[0].megapixels) for curve in curves}
    return Report(
        title="laconic against its peers",
        lead=(
            f"{count} photo{'s' * (count != 1)}, {len(curves)} codecs, whole files in bytes, "
            f"measured {runs[0].facts['date']}."
        ),
        highlights=_highlights(subject, peers, speeds[SUBJECT]),
        scenes=scenes,
        tables=[
            _codecs(curves, speeds),
            *([_photos(subject, peers)] if peers else []),
            *([_sources(others)] if others else []),
        ],
        notes=_notes(runs),
        panels=panels,
    )


def scenes_of(
    pictures: Sequence[tuple[Path, Picture]],
    curves: Sequence[Curve],
    codecs: Sequence[AbstractPeer],
    progress: Callable[[], None] = lambda: None,
) -> list[Scene]:
    """Photos as laconic and other codecs restore them, each codec at laconic's number of bytes.

    Parameters
    ----------
    pictures
        Files and their pixels, as the runs measured them.
    curves
        Of the same photos; the first is laconic's.
    codecs
        Whom to show beside laconic; they must run here.
    progress
        Called after each quality of each photo.
    """
    own = Laconic()
    known = {curve.name: curve for curve in curves}
    found: list[Scene] = []
    for path, picture in pictures:
        levels: list[Level] = []
        for quality in _qualities(curves[0]):
            data = own.encode(picture.pixels, quality)
            restored = own.decode(data)
            shown = [Rendition(SUBJECT, without_loss(restored), len(data), psnr(picture.pixels, restored))]
            for codec in codecs:
                curve = known[codec.name]
                sizes = dict(zip(curve.qualities, curve.of(picture.name, "bytes"), strict=True))
                file = near_bytes(codec, picture.pixels, len(data), known=sizes)
                back = codec.decode(file)
                shown.append(
                    Rendition(codec.name, as_file_or_pixels(file, back), len(file), psnr(picture.pixels, back))
                )
            levels.append(Level(f"{quality:g}", shown, spent(picture.pixels, round(quality))))
            progress()
        height, width = picture.pixels.shape[:2]
        size = path.stat().st_size
        found.append(Scene(path.stem, width, height, size, original(path, picture.pixels), levels))
    return found


def _qualities(curve: Curve) -> list[float]:
    """The measured qualities whose mean rates lie nearest to `RATES`."""
    rates = curve.mean("bpp")
    nearest = {int(np.argmin([abs(math.log(found / rate)) for found in rates])) for rate in RATES}
    return sorted(curve.qualities[k] for k in nearest)


def _panel(figure: str, curves: Sequence[Curve], others: Sequence[Published]) -> Panel:
    subject, peers = curves[0], curves[1:]
    lines = [_line(curve, figure, number) for number, curve in enumerate(curves) if curve.has(figure)]
    thin = [other.curve for other in others if other.curve.has(figure)]
    lines += [_line(curve, figure, None) for curve in thin]
    rows = [_delta_row(peer, compare(subject, peer, figure)) for peer in peers if peer.has(figure)]
    rows += [_published_row(curve, subject, figure) for curve in thin]
    columns = ("laconic against", "averaged", "median", "worst", "worst photo", "points", "overlap")
    caption = CAPTION + (" Published curves: for scale only, see below." if thin else "")
    table = Table(f"BD-rates by {LABELS[figure]}", columns, rows, caption)
    return Panel(LABELS[figure], Chart(AXES[figure], lines, FLOORS.get(figure, -math.inf)), table)


def _line(curve: Curve, figure: str, series: int | None) -> Line:
    quality = curve.mean(figure)
    if figure == "ms-ssim-rgb":
        quality = [-10 * math.log10(max(1 - value, 1e-9)) for value in quality]
    pairs = sorted(zip(curve.mean("bpp"), quality, strict=True))
    return Line(curve.name, [rate for rate, _ in pairs], [value for _, value in pairs], series)


def _delta_row(peer: Curve, delta: Delta) -> list[Cell]:
    worst, most = delta.worst
    return [
        peer.name,
        _percent(delta.averaged.percent),
        _percent(delta.median),
        _percent(most),
        Path(worst).stem or "–",
        *_basis(delta),
    ]


def _published_row(curve: Curve, subject: Curve, figure: str) -> list[Cell]:
    """Against means that others published: there is nothing to say of single photos."""
    points = [
        dict(zip(("bpp", figure), pair, strict=True))
        for pair in zip(subject.mean("bpp"), subject.mean(figure), strict=True)
    ]
    averaged = Curve(subject.name, "", "", "", subject.qualities, {"mean": points})
    delta = compare(averaged, curve, figure)
    return [f"{curve.name} (published)", _percent(delta.averaged.percent), "–", "–", "–", *_basis(delta)]


def _basis(delta: Delta) -> list[Cell]:
    found = delta.averaged
    return [
        (f"{found.points} + {found.anchor_points}", float(found.points + found.anchor_points)),
        (f"{100 * found.overlap:.0f} %", found.overlap),
    ]


def _percent(value: float) -> Cell:
    return ("–" if math.isnan(value) else f"{value:+.1f} %".replace("-", "\N{MINUS SIGN}"), value)


def _speeds(curve: Curve, megapixels: float) -> tuple[float, float]:
    """Megapixels per second of encoding and decoding, over all photos and qualities."""
    encode, decode = (megapixels / float(np.mean(curve.mean(f"{what}coding_time"))) for what in ("en", "de"))
    return encode, decode


def _codecs(curves: Sequence[Curve], speeds: dict[str, tuple[float, float]]) -> Table:
    rows: list[list[Cell]] = []
    for curve in curves:
        rates, decibels = curve.mean("bpp"), curve.mean("psnr-rgb")
        rows.append(
            [
                curve.name,
                (f"{min(rates):.2f} – {max(rates):.2f}", min(rates)),
                (f"{min(decibels):.1f} – {max(decibels):.1f}", min(decibels)),
                *((f"{speed:.{2 if speed < 1 else 1}f}", speed) for speed in speeds[curve.name]),
                curve.threads,
                curve.description + (" (points of an earlier run among them)" if curve.cached else ""),
                curve.version,
            ]
        )
    columns = ("codec", "bits per pixel", "PSNR, dB", "encode MP/s", "decode MP/s", "threads", "settings", "library")
    caption = "MP/s: millions of pixels per second, file access apart, over all qualities."
    return Table("Codecs", columns, rows, caption, prose=("settings", "library"))


def _photos(subject: Curve, peers: Sequence[Curve]) -> Table:
    deltas = [compare(subject, peer).per_picture for peer in peers]
    rows: list[list[Cell]] = [
        [Path(name).stem, *(_percent(delta[name].percent) for delta in deltas)] for name in subject.points
    ]
    return Table(
        "Photo by photo",
        ("photo", *(peer.name for peer in peers)),
        rows,
        "BD-rate (PSNR) of laconic against each codec on each photo's own curves.",
    )


def _sources(others: Sequence[Published]) -> Table:
    return Table(
        "Published curves",
        ("codec", "bits per pixel", "source"),
        [
            [
                other.curve.name,
                (f"{min(rates):.2f} – {max(rates):.2f}", min(rates)),
                other.source,
            ]
            for other in others
            if (rates := other.curve.mean("bpp"))
        ],
        "The thin lines: means over the same 24 photos as the projects published them. Encoders in other versions and "
        "settings, learned codecs often without a file header; for scale, not for a ranking.",
        prose=("source",),
    )


def _highlights(subject: Curve, peers: Sequence[Curve], speeds: tuple[float, float]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    known = [peer for name in HIGHLIGHTED for peer in peers if peer.name == name]
    for peer in (known or peers)[: len(HIGHLIGHTED)]:
        percent = compare(subject, peer).averaged.percent
        if not math.isnan(percent):
            found.append((str(_percent(percent)[0]), f"bytes against {peer.name} for the same PSNR"))
    found.append((f"{speeds[0]:.0f} / {speeds[1]:.0f}", "megapixels per second, encode / decode, one thread"))
    return found


def _notes(runs: Sequence[Run]) -> list[str]:
    notes = [
        (
            "Sizes are those of whole files, headers included (of HEVC: the bare bit stream). PSNR is taken over red, "
            "green and blue together and averaged in decibels; MS-SSIM is the mean over the three. Every codec ran in "
            "the same process on the same pixels, on as many threads as the table says. BD-rates are Bjontegaard's, "
            "by PCHIP over the logarithm of the rate."
        ),
        (
            "In the pictures each codec stands at the file found whose size is nearest to laconic's, larger or "
            "smaller; few codecs hit every size. Files that browsers decode are shown as they are, the others as what "
            "was restored, stored without loss. The map of bits comes from the same picture coded at the same quality "
            "in small squares, each with its own stream: real bytes, with some more of them than the file has, spent "
            "at the borders."
        ),
    ]
    for run in runs:
        machine = run.facts["machine"]
        left_out = "; ".join(f"{name}: {why}" for name, why in run.facts.get("left_out", {}).items())
        notes.append(
            f"{run.label}: laconic {run.facts['versions']['laconic']}"
            + (f" (commit {run.facts['commit']})" if run.facts["commit"] else "")
            + f", Python {run.facts['versions']['python']}, {machine['processor']}, {machine['cores']} cores, "
            f"{run.facts['date']}. Command: {run.facts['command']}." + (f" Left out: {left_out}." if left_out else "")
        )
    return notes
