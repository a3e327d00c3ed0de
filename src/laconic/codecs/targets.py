"""From what a person asks for (a quality, a rate, a size, a PSNR) to the step that gives it.

Size falls and PSNR falls as the step grows, both close to straight lines over the step code (size on a logarithmic
scale), so a search by secants inside a bracket needs a handful of trial encodings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.container.fields import OTHER_TARGET
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize.steps import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["Target", "find_code", "psnr"]

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
    channels = original.shape[2] if original.shape[2] not in (2, 4) else original.shape[2] - 1
    restored = restored.reshape(original.shape)
    total = 0.0
    for row in range(0, len(original), 256):  # by strips, so that no float copy of the whole picture is made
        difference = np.subtract(
            original[row : row + 256, :, :channels], restored[row : row + 256, :, :channels], dtype=np.float64
        )
        total += float(np.vdot(difference, difference))
    peak = float(np.iinfo(original.dtype).max)
    mean = total / (original.shape[0] * original.shape[1] * channels)
    return math.inf if mean == 0 else 10 * math.log10(peak * peak / mean)


def find_code(
    target: Target,
    attempt: Callable[[int], bytes],
    pixels: NDArray[Any],
    quality_codes: NDArray[np.uint16],
    *,
    decode: Callable[[bytes], NDArray[Any]],
) -> bytes:
    """Return the file that meets the target best.

    Parameters
    ----------
    attempt : callable
        Step code -> the whole file.
    pixels : ndarray (H, W, C)
    quality_codes : ndarray (101,)
        Step code of each quality.
    decode : callable
        File -> pixels, for a PSNR target.

    Raises
    ------
    TargetUnreachable
        The finest step does not reach the PSNR, or the coarsest not the size.
    """
    if target.quality is not None:
        return attempt(int(quality_codes[target.quality]))
    if target.psnr is not None:
        return _reach_psnr(target.psnr, attempt, pixels, decode)
    if target.bpp is not None:
        limit = int(target.bpp * pixels.shape[0] * pixels.shape[1] / 8)
    else:
        assert target.size is not None
        limit = int(target.size)
    return _reach_size(limit, attempt)


def _reach_size(limit: int, attempt: Callable[[int], bytes]) -> bytes:
    """Return the finest file of at most `limit` bytes."""

    def excess(data: bytes) -> float:
        return math.log(len(data) / limit) if limit > 0 else math.inf

    found, value = _search(attempt, excess, slack=SIZE_SLACK)
    if value > 0:
        raise TargetUnreachable(f"the coarsest step still needs {len(found)} bytes, {limit} were asked for")
    return found


def _reach_psnr(
    least: float, attempt: Callable[[int], bytes], pixels: NDArray[Any], decode: Callable[[bytes], NDArray[Any]]
) -> bytes:
    """Return the smallest file of at least `least` dB."""

    def shortfall(data: bytes) -> float:
        return least - min(psnr(pixels, decode(data)), MAX_PSNR)

    # The mirror image of a size target: here the coarse side fails, so the codes run backward.
    found, value = _search(lambda code: attempt(CODES - 1 - code), shortfall, slack=PSNR_SLACK)
    if value > 0:
        raise TargetUnreachable(
            f"the finest step gives {least - value:.2f} dB, {least:g} were asked for: lossless gives every pixel"
        )
    return found


def _search(attempt: Callable[[int], bytes], excess: Callable[[bytes], float], *, slack: float) -> tuple[bytes, float]:
    """Return the file of the smallest code whose excess is not above 0, where excess falls as the code grows.

    It ends early within `slack` of 0. Where no code will do it returns the file of the largest; the excess says which.
    """
    low, high = -1, CODES
    low_value, high_value = math.nan, math.nan
    best: tuple[bytes, float] | None = None
    code = CODES // 2
    for _ in range(MAX_TRIALS):
        data = attempt(code)
        value = excess(data)
        if value <= 0:
            best, high, high_value = (data, value), code, value
            if value >= -slack:
                return best
        else:
            low, low_value = code, value
        if high - low <= 1:
            break
        code = _next_code(low, low_value, high, high_value)
    if best is None:
        data = attempt(CODES - 1)
        best = data, excess(data)
    return best


def _next_code(low: int, low_value: float, high: int, high_value: float) -> int:
    """Aim a little inside the good side of the zero of the secant; halve the bracket while one end is unknown."""
    if math.isnan(low_value) or math.isnan(high_value) or math.isinf(low_value):
        return (low + high) // 2
    at = low + (high - low) * (low_value / (low_value - high_value))
    return min(max(math.ceil(at + 0.02 * (high - low)), low + 1), high - 1)
