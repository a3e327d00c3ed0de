"""From what a person asks for (a quality, a rate, a size, a PSNR) to the step that gives it.

Size and PSNR fall as the step grows. How much, a typical photo tells: from one trial to the next the search moves as
far as it would have to there, and takes secants as soon as the target lies between two trials, so a handful of them is
enough. A step code is 0.06 to 0.09 dB; between two codes a bit weighs a little less than at the coarser one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from laconic.container.fields import OTHER_TARGET
from laconic.errors import TargetUnreachable, UsageError
from laconic.quantize import rdo

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.quantize.rdo import Rdo

__all__ = ["SquaredError", "Target", "bytes_of_a_decibel", "find_code", "psnr"]

Trial = TypeVar("Trial")

MAX_TRIALS = 12
BESIDE = 2
"""How far to either side of two neighbors around the target a search looks, if neither is near enough."""
SIZE_SLACK, PSNR_SLACK = 0.015, 0.05
"""How far from the target, on its good side, a trial ends the search: a share of the bytes; dB."""
SIZE_AIM, PSNR_AIM = 0.006, 0.02
MAX_PSNR = 200.0  # stands for infinity in the secants

TYPICAL_CODES = (0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 767)
TYPICAL_RATE = (3.62, 3.25, 2.76, 2.19, 1.58, 0.87, 0.04, -1.0, -2.28, -3.64, -4.87, -5.81, -6.38)
TYPICAL_PSNR = (54.35, 53.17, 51.19, 47.97, 44.01, 39.72, 35.45, 31.25, 27.49, 24.43, 21.93, 19.45, 17.29)
"""Mean over eight held-out training photos, halved, middle 512 x 512, effort 5: base-2 logarithm of the bits a pixel,
and dB. They only decide how soon a search ends."""


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


def bytes_of_a_decibel(code: int) -> float:
    """Return by which share more bytes a typical photo takes at a step code for one dB more, as a natural logarithm."""
    at = min(code, TYPICAL_CODES[-1] - 1) // 64
    rate = TYPICAL_RATE[at] - TYPICAL_RATE[at + 1]
    return math.log(2) * rate / (TYPICAL_PSNR[at] - TYPICAL_PSNR[at + 1])


def find_code(
    target: Target,
    attempt: Callable[[int, Rdo], Trial],
    quality_codes: NDArray[np.uint16],
    decisions: Rdo,
    *,
    pixels: int,
    size: Callable[[Trial], int],
    quality: Callable[[Trial], float],
) -> Trial:
    """Return the trial that meets the target best.

    Parameters
    ----------
    attempt : callable
        Step code and how the quantizer decides -> a trial: the whole file, or what is to be known of it.
    quality_codes : ndarray (101,)
        Step code of each quality.
    decisions : Rdo
        How the quantizer decides at a whole step code; between two codes it decides a little otherwise.
    pixels : int
        Width times height.
    size, quality : callable
        Trial -> bytes of the file, and PSNR in dB of what it restores.

    Raises
    ------
    TargetUnreachable
        The finest step does not reach the PSNR, or the coarsest not the size.
    """

    made: dict[tuple[int, Rdo], Trial] = {}

    def at(position: int) -> Trial:
        setting = rdo.between_codes(position, decisions)
        if setting not in made:
            made[setting] = attempt(*setting)
        return made[setting]

    if target.quality is not None:
        return attempt(int(quality_codes[target.quality]), decisions)
    if target.psnr is not None:
        return _reach_psnr(target.psnr, at, quality)
    limit = int(target.bpp * pixels / 8) if target.bpp is not None else int(target.size or 0)
    return _reach_size(limit, at, size, pixels)


def _reach_size(limit: int, attempt: Callable[[int], Trial], size: Callable[[Trial], int], pixels: int) -> Trial:
    """Return a file of at most `limit` bytes that uses them up."""

    def bits_a_pixel(count: float) -> float:
        return math.log2(8 * count / pixels)

    if limit < 1:
        raise TargetUnreachable(f"the rate asked for leaves {limit} bytes for the file")
    sought = _Sought(
        curve=TYPICAL_RATE, aim=bits_a_pixel(limit) + math.log2(1 - SIZE_AIM), limit=bits_a_pixel(limit),
        slack=-math.log2(1 - SIZE_SLACK), wants_fine=False,
    )  # fmt: skip
    found, value = _search(attempt, lambda trial: bits_a_pixel(size(trial)), sought)
    if value > sought.limit:
        raise TargetUnreachable(f"the coarsest step still needs {size(found)} bytes, {limit} were asked for")
    return found


def _reach_psnr(least: float, attempt: Callable[[int], Trial], quality: Callable[[Trial], float]) -> Trial:
    """Return a small file of at least `least` dB."""
    sought = _Sought(curve=TYPICAL_PSNR, aim=least + PSNR_AIM, limit=least, slack=PSNR_SLACK, wants_fine=True)
    found, value = _search(attempt, lambda trial: min(quality(trial), MAX_PSNR), sought)
    if value < least:
        raise TargetUnreachable(
            f"the finest step gives {value:.2f} dB, {least:g} were asked for: lossless gives every pixel"
        )
    return found


@dataclass(frozen=True)
class _Sought:
    """What a search is after: a figure that falls as the step grows, within `slack` of `limit` and on its good side."""

    curve: tuple[float, ...]
    """The figure of a typical photo at each of `TYPICAL_CODES`."""
    aim: float
    limit: float
    slack: float
    wants_fine: bool
    """The figure must not be below the limit, rather than not above."""

    def fits(self, figure: float) -> bool:
        return figure >= self.limit if self.wants_fine else figure <= self.limit

    def is_near(self, figure: float) -> bool:
        return abs(figure - self.limit) <= self.slack

    def code(self, figure: float) -> float:
        """Return the step code at which a typical photo has this figure; beyond the curve along its last stretch."""
        places = np.array(self.curve)
        at = int(np.clip(np.searchsorted(-places, -figure), 1, len(places) - 1))
        share = (figure - places[at - 1]) / (places[at] - places[at - 1])
        return TYPICAL_CODES[at - 1] + share * (TYPICAL_CODES[at] - TYPICAL_CODES[at - 1])


def _search(attempt: Callable[[int], Trial], measure: Callable[[Trial], float], sought: _Sought) -> tuple[Trial, float]:
    """Return the trial that is nearest to the limit on its good side, and its figure.

    It ends with the first one that is near enough. Figures do not fall quite evenly: where the target lies between two
    neighbors that are both too far from it, one beside them may be nearer. Where no position will do it returns the
    trial of the last one, whose figure says so. Positions are those of `rdo.between_codes`.
    """
    finest, coarsest = 0, rdo.POSITIONS - 1
    low, high = finest - 1, coarsest + 1  # the figure is above the aim at and before `low`, below it from `high` on
    codes: dict[int, float] = {}
    best: tuple[Trial, float] | None = None
    last = finest if sought.wants_fine else coarsest
    aim = sought.code(sought.aim)
    position = min(max(round(rdo.PARTS * aim), finest), coarsest)
    sides: list[bool] = []
    beside: list[int] | None = None
    for _ in range(MAX_TRIALS):
        trial = attempt(position)
        figure = measure(trial)
        if sought.fits(figure):
            if best is None or abs(figure - sought.limit) < abs(best[1] - sought.limit):
                best = trial, figure
            if sought.is_near(figure):
                return best
        elif position == last:
            return best or (trial, figure)
        codes[position] = sought.code(figure)
        if beside is None:
            sides.append(figure > sought.limit)
            low, high = (position, high) if sides[-1] else (low, position)
            if high - low > 1:
                alike = next((k for k, side in enumerate(reversed(sides)) if side != sides[-1]), len(sides))
                position = _next_position(low, high, codes, aim, position, alike=alike)
                continue
            places = [place for k in range(1, BESIDE + 1) for place in (low - k, high + k)]
            beside = [place for place in reversed(places) if finest <= place <= coarsest and place not in codes]
        if not beside:
            break
        position = beside.pop()
    if best is None:
        trial = attempt(last)
        best = trial, measure(trial)
    return best


def _next_position(low: int, high: int, codes: dict[int, float], aim: float, position: int, *, alike: int) -> int:
    """Where the aim lies between two trials; beside one, as far as it would be in a typical photo, and farther once
    three and more trials have been on the same side (`alike`)."""
    if low in codes and high in codes:
        rise = codes[high] - codes[low]
        at = (low + high) / 2 if alike >= 3 or rise <= 0 else low + (high - low) * (aim - codes[low]) / rise
    else:
        at = position + rdo.PARTS * (aim - codes[position]) * 4 ** max(0, alike - 2)
    return min(max(round(at), low + 1), high - 1)
