"""How close one picture is to another: PSNR, MS-SSIM and SSIMULACRA2, each for one pair of pictures.

A figure for a set of pictures is the mean of these figures (for PSNR: the mean of decibels, not the decibels of
the mean error). MS-SSIM follows Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality
assessment" (2003), in the form that papers on learned codecs use (the pytorch-msssim package): windows inside the
picture only, per color plane, planes averaged. It is written here because that package needs torch.
"""

from __future__ import annotations

import io
import math
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from laconic.measure.extras import need

Pixels: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Plane: TypeAlias = npt.NDArray[np.floating[Any]]

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_SIDE = 11
WINDOW_SIGMA = 1.5
# Below this side the coarsest of the five scales would be smaller than the window.
SMALLEST_SIDE = (WINDOW_SIDE - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1


def psnr(original: Pixels, restored: Pixels) -> float:
    """Peak signal-to-noise ratio over all samples of two pictures.

    Parameters
    ----------
    original, restored
        (H, W) or (H, W, C), both uint8 (peak 255) or both uint16 (peak 65535).

    Returns
    -------
    float
        Decibels; infinity for equal pictures.

    Raises
    ------
    ValueError
        When shapes or dtypes differ.
    """
    _check_pair(original, restored)
    difference = original.astype(np.float64) - restored.astype(np.float64)
    error = float(np.mean(np.square(difference)))
    return math.inf if error == 0 else 10 * math.log10(_peak(original) ** 2 / error)


def ms_ssim(original: Pixels, restored: Pixels) -> float:
    """Multi-scale structural similarity, five scales, mean over color planes.

    Parameters
    ----------
    original, restored
        (H, W) or (H, W, C), both uint8 or both uint16.

    Returns
    -------
    float
        At most 1; not a number for pictures with a side below 161 pixels, where five scales do not exist.

    Raises
    ------
    ValueError
        When shapes or dtypes differ.
    """
    _check_pair(original, restored)
    if min(original.shape[:2]) < SMALLEST_SIDE:
        return math.nan
    peak = _peak(original)
    first = np.atleast_3d(original)
    second = np.atleast_3d(restored)
    planes = [
        _plane_ms_ssim(first[..., c].astype(np.float32), second[..., c].astype(np.float32), peak)
        for c in range(first.shape[2])
    ]
    return float(np.mean(planes))


def ssimulacra2(original: Pixels, restored: Pixels) -> float:
    """SSIMULACRA2 score of an RGB picture (100: indistinguishable, 90: very good, 50: medium, 30: low).

    Parameters
    ----------
    original, restored
        (H, W, 3) uint8.

    Raises
    ------
    UsageError
        When the ``ssimulacra2`` package is not installed.
    """
    _check_pair(original, restored)
    package = need("ssimulacra2", "for SSIMULACRA2")
    return float(package.compute_ssimulacra2(_as_png(original), _as_png(restored)))


def _plane_ms_ssim(first: Plane, second: Plane, peak: float) -> float:
    similarity = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        if scale > 0:
            first, second = _halved(first), _halved(second)
        whole, structure = _ssim(first, second, peak)
        last = scale == len(SCALE_WEIGHTS) - 1
        # A negative term has no real fractional power; the usual convention takes it as zero.
        similarity *= max(whole if last else structure, 0.0) ** weight
    return similarity


def _ssim(first: Plane, second: Plane, peak: float) -> tuple[float, float]:
    """Mean SSIM of two planes, and its contrast-structure part."""
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean1, mean2 = _smoothed(first), _smoothed(second)
    product, square1, square2 = mean1 * mean2, mean1 * mean1, mean2 * mean2
    variances = _smoothed(first * first + second * second) - square1 - square2
    covariance = _smoothed(first * second) - product
    structure = (2 * covariance + c2) / (variances + c2)
    luminance = (2 * product + c1) / (square1 + square2 + c1)
    return float(np.mean(luminance * structure, dtype=np.float64)), float(np.mean(structure, dtype=np.float64))


def _smoothed(plane: Plane) -> Plane:
    """Gaussian window at every position where it lies inside the plane."""
    offsets = np.arange(WINDOW_SIDE) - WINDOW_SIDE // 2
    window = np.exp(-(offsets**2) / (2 * WINDOW_SIGMA**2))
    window = (window / window.sum()).astype(plane.dtype)
    half = WINDOW_SIDE // 2
    for _ in range(2):
        # Rows, then (after the transposition) columns; the window is symmetric, so rows are added in pairs.
        height = plane.shape[0] - WINDOW_SIDE + 1
        total = plane[half : half + height] * window[half]
        for k in range(half):
            mirrored = WINDOW_SIDE - 1 - k
            total += (plane[k : k + height] + plane[mirrored : mirrored + height]) * window[k]
        plane = np.ascontiguousarray(total.T)
    return plane


def _halved(plane: Plane) -> Plane:
    """Mean of 2 x 2; an odd side gets a row of zeros in front, as pytorch-msssim does."""
    odd = [(side % 2, 0) for side in plane.shape]
    padded = np.pad(plane, odd)
    return (padded[0::2, 0::2] + padded[0::2, 1::2] + padded[1::2, 0::2] + padded[1::2, 1::2]) / 4


def _peak(pixels: Pixels) -> float:
    return float(np.iinfo(pixels.dtype).max)


def _check_pair(original: Pixels, restored: Pixels) -> None:
    if original.shape != restored.shape or original.dtype != restored.dtype:
        raise ValueError(
            f"pictures differ in kind: {original.shape} {original.dtype} and {restored.shape} {restored.dtype}"
        )


def _as_png(pixels: Pixels) -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    file.seek(0)
    return file
