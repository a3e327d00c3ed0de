"""From what a person asks for (a quality, a rate, a size, a PSNR) to the step that gives it.

Size falls and PSNR falls as the step grows, both close to straight lines over the step code (size on a logarithmic
scale), so a search by secants inside a bracket needs a handful of trial encodings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from laconic.container.fields import OTHER_TARGET
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize.steps import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["SquaredError", "Target", "find_code", "psnr"]

Trial = TypeVar("Trial")

MAX_TRIALS = 12
SIZE_SLACK, PSNR_SLACK = 0.006, 0.03
"""How far from the target (a share of the bytes; dB) a trial may lie to end the search early."""
MAX_PSNR = 200.0  # stands for infinity in the secants


@dataclass(frozen=True)
class Target:
    """One of: a quality, bits per pixel, dB, bytes, or lossless (none of them)."""

    quality: int | None = None
    bpp: float | None = None
    psnr: float | None = None
    size: int | None = None

    @classmethod
    def of(
        cls,
        *,
        quality: int | None,
        bpp: float | None,
        psnr: float | None,
        size: int | None,
        lossless: bool,
        default: int,
    ) -> Target:
        """Check what was asked for.

        Raises
        ------
        UsageError
            More than one target, or a value out of range.
        """
        for name, value in (("quality", quality), ("bpp", bpp), ("psnr", psnr), ("size", size)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
                raise UsageError(f"{name} is {value!r}, expected a number")
        asked = {"quality": quality, "bpp": bpp, "psnr": psnr, "size": size, "lossless": lossless or None}
        given = [name for name, value in asked.items() if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")
        if not given:
            quality = default
        if quality is not None and not (0 <= quality <= 100 and float(quality).is_integer()):
            raise UsageError(f"quality is {quality}, expected a whole number from 0 to 100")
        for name, value in (("bpp", bpp), ("psnr", psnr), ("size", size)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} is {value}, expected a number above 0")
        return cls(None if quality is None else int(quality), bpp, psnr, size)

    @property
    def header_quality(self) -> int:
        """What the file's header says: the quality, or that another target set the step."""
        return OTHER_TARGET if self.quality is None else self.quality


def psnr(original: NDArray[Any], restored: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio in dB over all color samples; infinity where nothing differs.

    Parameters
    ----------
    original : ndarray (H, W, C) uint8 or uint16
    restored : ndarray of as many samples and the same type
        Alpha, the last of 2 or 4 channels, is left out: it is exact.
    """
    error = SquaredError()
    error.add(original, restored.reshape(original.shape))
    return error.psnr


class SquaredError:
    """The error of a picture that is compared some rows at a time.

    Sums are of whole numbers, and below 2^53 the order does not matter.
    """

    def __init__(self) -> None:
        self._total, self._samples, self._peak = 0.0, 0, 1.0

    def add(self, original: NDArray[Any], restored: NDArray[Any]) -> None:
        """Compare rows (h, W, C) of uint8 or uint16; alpha is left out."""
        channels = original.shape[2] if original.shape[2] not in (2, 4) else original.shape[2] - 1
        for row in range(0, len(original), 256):  # by strips, so that no float copy of a whole picture is made
            difference = np.subtract(
                original[row : row + 256, :, :channels], restored[row : row + 256, :, :channels], dtype=np.float64
            )
            self._total += float(np.vdot(difference, difference))
        self._samples += original.shape[0] * original.shape[1] * channels
        self._peak = float(np.iinfo(original.dtype).max)

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB of all rows so far; infinity where nothing differs."""
        mean = self._total / self._samples
        return math.inf if mean == 0 else 10 * math.log10(self._peak * self._peak / mean)


def find_code(
    target: Target,
    attempt: Callable[[int], Trial],
    quality_codes: NDArray[np.uint16],
    *,
    pixels: int,
    size: Callable[[Trial], int],
    quality: Callable[[Trial], float],
) -> Trial:
    """Return the trial that meets the target best.

    Parameters
    ----------
    attempt : callable
        Step code -> a trial: the whole file, or what is to be known of it.
    quality_codes : ndarray (101,)
        Step code of each quality.
    pixels : int
        Width times height.
    size, quality : callable
        Trial -> bytes of the file, and PSNR in dB of what it restores.

    Raises
    ------
    TargetUnreachable
        The finest step does not reach the PSNR, or the coarsest not the size.
    """
    if target.quality is not None:
        return attempt(int(quality_codes[target.quality]))
    if target.psnr is not None:
        return _reach_psnr(target.psnr, attempt, quality)
    if target.bpp is not None:
        limit = int(target.bpp * pixels / 8)
    else:
        assert target.size is not None
        limit = int(target.size)
    return _reach_size(limit, attempt, size)


def _reach_size(limit: int, attempt: Callable[[int], Trial], size: Callable[[Trial], int]) -> Trial:
    """Return the finest file of at most `limit` bytes."""

    def excess(trial: Trial) -> float:
        return math.log(size(trial) / limit) if limit > 0 else math.inf

    found, value = _search(attempt, excess, slack=SIZE_SLACK)
    if value > 0:
        raise TargetUnreachable(f"the coarsest step still needs {size(found)} bytes, {limit} were asked for")
    return found


def _reach_psnr(least: float, attempt: Callable[[int], Trial], quality: Callable[[Trial], float]) -> Trial:
    """Return the smallest file of at least `least` dB."""

    def shortfall(trial: Trial) -> float:
        return least - min(quality(trial), MAX_PSNR)

    # The mirror image of a size target: here the coarse side fails, so the codes run backward.
    found, value = _search(lambda code: attempt(CODES - 1 - code), shortfall, slack=PSNR_SLACK)
    if value > 0:
        raise TargetUnreachable(
            f"the finest step gives {least - value:.2f} dB, {least:g} were asked for: lossless gives every pixel"
        )
    return found


def _search(attempt: Callable[[int], Trial], excess: Callable[[Trial], float], *, slack: float) -> tuple[Trial, float]:
    """Return the trial of the smallest code whose excess is not above 0, where excess falls as the code grows.

    It ends early within `slack` of 0. Where no code will do it returns that of the largest; the excess says which.
    """
    low, high = -1, CODES
    low_value, high_value = math.nan, math.nan
    best: tuple[Trial, float] | None = None
    code = CODES // 2
    for _ in range(MAX_TRIALS):
        trial = attempt(code)
        value = excess(trial)
        if value <= 0:
            best, high, high_value = (trial, value), code, value
            if value >= -slack:
                return best
        else:
            low, low_value = code, value
        if high - low <= 1:
            break
        code = _next_code(low, low_value, high, high_value)
    if best is None:
        trial = attempt(CODES - 1)
        best = trial, excess(trial)
    return best


def _next_code(low: int, low_value: float, high: int, high_value: float) -> int:
    """Aim a little inside the good side of the zero of the secant; halve the bracket while one end is unknown."""
    if math.isnan(low_value) or math.isnan(high_value) or math.isinf(low_value):
        return (low + high) // 2
    at = low + (high - low) * (low_value / (low_value - high_value))
    return min(max(math.ceil(at + 0.02 * (high - low)), low + 1), high - 1)
