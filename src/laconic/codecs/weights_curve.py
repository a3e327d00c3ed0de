"""What a model loses at which size: a few files of different sizes, decoded and compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_reader import Reader, arrays_of
from laconic.codecs.array_writer import shrink
from laconic.errors import UsageError
from laconic.signals.tensors import Arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["CurvePoint", "rd_curve"]

RATES = (1.0, 1.5, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class CurvePoint:
    """One size of a model.

    Attributes
    ----------
    bytes : int
        Of the whole file.
    bits_per_weight : float
    snr : float
        Of all finite floats together, in decibels; infinite where nothing was lost.
    divergence : float or None
        What the caller's measure said of the decoded arrays.
    """

    bytes: int
    bits_per_weight: float
    snr: float
    divergence: float | None


def rd_curve(
    arrays: Arrays | Mapping[str, Any],
    rates: Sequence[float] = RATES,
    *,
    divergence: Callable[[dict[str, NDArray[Any]]], float] | None = None,
    plot: str | Path | None = None,
    **settings: Any,
) -> list[CurvePoint]:
    """Encode a model at several sizes and measure what comes back.

    Parameters
    ----------
    arrays : mapping of str to array, or Arrays
    rates : sequence of float
        Bits per weight.
    divergence : callable, optional
        Given decoded arrays by name, returns how far a model with them is from the model.
    plot : path, optional
        Draw the curve there, as PNG, SVG or PDF by its ending: divergence where it is measured, else the ratio of
        noise to signal, over bits per weight. Needs matplotlib.
    settings
        Of `shrink`, such as `calibration` and `effort`.

    Raises
    ------
    UsageError
        No rates; or matplotlib is asked for and not installed.
    """
    if not rates:
        raise UsageError("a curve needs at least one rate")
    figure = _figure() if plot is not None else None
    source = arrays if isinstance(arrays, Arrays) else arrays_of(arrays)
    points: list[CurvePoint] = []
    for rate in rates:
        data = shrink(source, bpw=rate, **settings)
        with Reader(data, base=settings.get("base")) as reader:
            decoded = {tensor.name: tensor.array() for tensor in reader.tensors()}
        value = None if divergence is None else float(divergence(decoded))
        points.append(CurvePoint(len(data), 8 * len(data) / max(source.count, 1), _snr(source, decoded), value))
    if figure is not None and plot is not None:
        _draw(figure, points, Path(plot))
    return points


def _snr(arrays: Arrays, decoded: Mapping[str, NDArray[Any]]) -> float:
    signal = noise = 0.0
    for tensor in arrays.tensors:
        if tensor.kind.group != "float":
            continue
        values = tensor.numbers().astype(np.float64)
        found = decoded[tensor.name].ravel().astype(np.float64)
        finite = np.isfinite(values)
        signal += float((values[finite] ** 2).sum())
        noise += float(((values - found)[finite] ** 2).sum())
    return 10 * math.log10(signal / noise) if noise and signal else math.inf


def _figure() -> Any:
    try:
        return import_module("matplotlib.figure").Figure(figsize=(6, 4), layout="constrained")
    except ImportError as error:
        raise UsageError('matplotlib is needed for plots: pip install "laconic[bench]"') from error


def _draw(figure: Any, points: Sequence[CurvePoint], path: Path) -> None:
    axes = figure.add_subplot(1, 1, 1)
    measured = points[0].divergence is not None
    heights = [point.divergence if measured else 10 ** (-point.snr / 10) for point in points]
    axes.plot([point.bits_per_weight for point in points], heights, color="#0072b2", marker="o")
    axes.set_yscale("log")
    axes.set_xlabel("bits per weight")
    axes.set_ylabel("divergence" if measured else "noise over signal")
    axes.grid(visible=True, alpha=0.25)
    figure.savefig(path, dpi=130)
