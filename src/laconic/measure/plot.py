"""The picture of a run: quality over rate, one line per codec, as PNG and SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from laconic.measure.curves import METRICS, Curve
from laconic.measure.extras import need

# Okabe and Ito's colors, told apart by people with any color vision; the codec of this project is always the first.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS = "os^Dv<>P"
LABELS = {
    "psnr-rgb": "PSNR in RGB (dB)",
    "ms-ssim-rgb": "MS-SSIM (dB: -10 log10(1 - x))",
    "ssimulacra2": "SSIMULACRA2",
}
MIDDLE_RATES = (0.1, 0.15, 0.25, 0.4, 0.6, 1.0, 1.5, 2.5, 4.0)


def plot(curves: Sequence[Curve], path: Path, *, title: str, width: float = 10.0) -> list[Path]:
    """Draw each metric that all curves have over bits per pixel; MS-SSIM as decibels of what is missing.

    Parameters
    ----------
    path
        File name without suffix; ``.png`` and ``.svg`` are written.
    width
        Inches.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    UsageError
        When matplotlib is not installed.
    """
    figures = need("matplotlib.figure", "for plots")
    ticker = need("matplotlib.ticker", "for plots")
    panels = [(LABELS[figure], figure) for figure in METRICS if all(curve.has(figure) for curve in curves)]
    canvas = figures.Figure(figsize=(width, width * (0.1 + 0.75 / len(panels))), layout="constrained")
    for k, (label, figure) in enumerate(panels):
        axes = canvas.add_subplot(1, len(panels), k + 1)
        for color, marker, curve in zip(COLORS * 3, MARKERS * 3, curves, strict=False):
            quality = curve.mean(figure)
            if figure == "ms-ssim-rgb":
                quality = [-10 * math.log10(max(1 - value, 1e-9)) for value in quality]
            first = curve.name == "laconic"
            style: dict[str, Any] = {"linewidth": 2.4 if first else 1.3, "markersize": 5 if first else 3.5}
            axes.plot(curve.mean("bpp"), quality, color=color, marker=marker, label=curve.name, **style)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.FixedLocator(MIDDLE_RATES))
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.set_xlabel("bits per pixel")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.25)
        if k == 0:
            axes.legend(frameon=False)
    canvas.suptitle(title)
    written = [path.with_name(path.name + suffix) for suffix in (".png", ".svg")]
    for file in written:
        file.parent.mkdir(parents=True, exist_ok=True)
        canvas.savefig(file, dpi=130)
    return written
