"""From what a person asks for (a quality, a rate, a size, a PSNR) to the step that gives it.

Size and PSNR fall as the step grows. How much, photos tell: they differ from the typical one mostly in one number, the
kind, which the first trial gives away. The second goes where a photo of that kind would meet the target, later ones
along secants. A step code is 0.04 to 0.09 dB; between two codes a bit weighs a little less than at the coarser one.

Here and there a figure jumps past the target, where many quiet groups of symbols are dropped at once. How light a bit
must be for them to stay depends on the step otherwise than the figures do, so the search goes on with coarser steps and
lighter bits, where the figures are the same and the jump lies elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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

ENOUGH_TRIALS, MAX_TRIALS = 6, 12
"""After so many the best one stands: if it is `LENIENT` times as far from the target as it should be, or nearer; in
any case. Photos need at most the former, drawings and noise may need more."""
LENIENT = 4
SIZE_SLACK, PSNR_SLACK = 0.015, 0.05
"""How far from the target, on its good side, a trial ends the search: a share of the bytes; dB."""
SIZE_AIM, PSNR_AIM = 0.007, 0.025
MAX_PSNR = 200.0  # stands for infinity in the secants

TYPICAL_CODES = (0, 64, 128, 192, 256, 320, 384, 448, 512, 576, 640, 704, 767)
TYPICAL_RATE = (3.62, 3.25, 2.76, 2.19, 1.58, 0.87, 0.04, -1.0, -2.28, -3.64, -4.87, -5.81, -6.38)
TYPICAL_PSNR = (54.35, 53.17, 51.19, 47.97, 44.01, 39.72, 35.45, 31.25, 27.49, 24.43, 21.93, 19.45, 17.29)
"""Mean over eight held-out training photos, halved, middle 512 x 512, effort 5: base-2 logarithm of the bits a pixel,
and dB."""
SPREAD_RATE = (-0.25, -0.31, -0.43, -0.57, -0.69, -0.77, -0.81, -0.81, -0.79, -0.70, -0.53, -0.26, -0.10)
SPREAD_PSNR = (0.11, 0.12, 0.17, 0.46, 0.96, 1.50, 1.91, 2.17, 2.31, 2.32, 2.31, 2.24, 2.00)
"""By how much a photo differs from that whose kind is 1 less: the first principal component of 23 training photos,
middle 512 x 512, effort 7. Spreads only decide how soon a search ends."""
USUAL_KIND, MAX_KIND = 0.5, 2.5
"""The mean of those photos, and how far a kind may be from 0: the curves still fall."""

STEEP, JUMP, JUMP_CODES = 1.5, 1.0, 16
"""Two trials up to so many codes apart have a jump between them, where their figures are this many times as far apart
as their places and this many codes more."""
NARROW_CODES = 4
"""Between trials so near to one another the figures of a photo are straight but for noise and jumps."""
SLOWEST, FASTEST = 0.75, 1.5
"""How much less or more than those of the photo's kind the figures fall beyond two trials on one side."""
CALM_CODES, CALM_WEIGHT = 5, 0.8
"""To pass a jump: that many codes coarser, with bits that weigh so much less, which costs a few bytes more."""


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
    if target.quality is not None:
        return attempt(int(quality_codes[target.quality]), decisions)
    trials = _Trials(attempt, decisions)
    if target.psnr is not None:
        return _reach_psnr(target.psnr, trials, quality)
    limit = int(target.bpp * pixels / 8) if target.bpp is not None else int(target.size or 0)
    return _reach_size(limit, trials, size, pixels)


def _reach_size(limit: int, trials: _Trials[Trial], size: Callable[[Trial], int], pixels: int) -> Trial:
    """Return a file of at most `limit` bytes that uses them up."""

    def bits_a_pixel(count: float) -> float:
        return math.log2(8 * count / pixels)

    if limit < 1:
        raise TargetUnreachable(f"the rate asked for leaves {limit} bytes for the file")
    sought = _Sought(
        curve=TYPICAL_RATE, spread=SPREAD_RATE, aim=bits_a_pixel(limit) + math.log2(1 - SIZE_AIM),
        limit=bits_a_pixel(limit), slack=-math.log2(1 - SIZE_SLACK), wants_fine=False,
    )  # fmt: skip
    found, value = _search(trials, lambda trial: bits_a_pixel(size(trial)), sought)
    if value > sought.limit:
        raise TargetUnreachable(f"the coarsest step still needs {size(found)} bytes, {limit} were asked for")
    return found


def _reach_psnr(least: float, trials: _Trials[Trial], quality: Callable[[Trial], float]) -> Trial:
    """Return a small file of at least `least` dB."""
    sought = _Sought(
        curve=TYPICAL_PSNR, spread=SPREAD_PSNR, aim=least + PSNR_AIM, limit=least, slack=PSNR_SLACK, wants_fine=True
    )
    found, value = _search(trials, lambda trial: min(quality(trial), MAX_PSNR), sought)
    if value < least:
        raise TargetUnreachable(
            f"the finest step gives {value:.2f} dB, {least:g} were asked for: lossless gives every pixel"
        )
    return found


class _Trials(Generic[Trial]):
    """Trials by their places, those of `rdo.between_codes`, each made once."""

    def __init__(self, attempt: Callable[[int, Rdo], Trial], decisions: Rdo) -> None:
        self._attempt, self._decisions = attempt, decisions
        self._made: dict[tuple[int, Rdo], Trial] = {}
        self.has_weight = decisions.weight > 0

    def __len__(self) -> int:
        return len(self._made)

    def at(self, place: int, calm: int = 0) -> Trial:
        """Return the trial of a place, in the usual way or past `calm` jumps."""
        setting = self._setting(place, calm)
        if setting not in self._made:
            self._made[setting] = self._attempt(*setting)
        return self._made[setting]

    def _setting(self, place: int, calm: int) -> tuple[int, Rdo]:
        coarser = min(place + calm * CALM_CODES * rdo.PARTS, rdo.POSITIONS - 1)
        lighter = replace(self._decisions, weight=self._decisions.weight * CALM_WEIGHT**calm)
        return rdo.between_codes(coarser, lighter)


@dataclass(frozen=True)
class _Sought:
    """What a search is after: a figure that falls as the step grows, within `slack` of `limit` and on its good side."""

    curve: tuple[float, ...]
    """The figure of a typical photo at each of `TYPICAL_CODES`."""
    spread: tuple[float, ...]
    """What a kind adds to it."""
    aim: float
    limit: float
    slack: float
    wants_fine: bool
    """The figure must not be below the limit, rather than not above."""

    def fits(self, figure: float) -> bool:
        return figure >= self.limit if self.wants_fine else figure <= self.limit

    def is_near(self, figure: float) -> bool:
        return abs(figure - self.limit) <= self.slack

    def kind(self, code: float, figure: float) -> float:
        """Return the kind of photo that has a figure at a step code."""
        typical, spread = (float(np.interp(code, TYPICAL_CODES, values)) for values in (self.curve, self.spread))
        return min(max((figure - typical) / spread, -MAX_KIND), MAX_KIND)

    def code(self, figure: float, kind: float) -> float:
        """Return the step code at which a photo of a kind has a figure; beyond the curve along its last stretch."""
        places = np.array(self.curve) + kind * np.array(self.spread)
        at = int(np.clip(np.searchsorted(-places, -figure), 1, len(places) - 1))
        share = (figure - places[at - 1]) / (places[at] - places[at - 1])
        return float(TYPICAL_CODES[at - 1] + share * (TYPICAL_CODES[at] - TYPICAL_CODES[at - 1]))


def _search(trials: _Trials[Trial], measure: Callable[[Trial], float], sought: _Sought) -> tuple[Trial, float]:
    """Return the trial that is nearest to the limit on its good side, and its figure.

    It ends with the first one that is near enough. Where no place will do it returns the trial of the last one, whose
    figure says so. After `ENOUGH_TRIALS` the curve is none of a photo's, and what is left is halved each time. Plain
    rounding has no weight that could pass a jump: there the target may be missed.
    """
    finest, coarsest = 0, rdo.POSITIONS - 1
    last = finest if sought.wants_fine else coarsest
    low, high = finest - 1, coarsest + 1  # the figure is above the limit at and before `low`, below it from `high` on
    away: dict[int, float] = {}  # by place: how many places on the aim would be met, in a photo of that kind
    place, calm = min(max(round(rdo.PARTS * sought.code(sought.aim, USUAL_KIND)), finest), coarsest), 0
    jump = low, high  # where the first one is
    kind: float | None = None
    best: tuple[Trial, float] | None = None
    while len(trials) < MAX_TRIALS:
        trial = trials.at(place, calm)
        figure = measure(trial)
        if sought.fits(figure):
            if best is None or abs(figure - sought.limit) < abs(best[1] - sought.limit):
                best = trial, figure
            if sought.is_near(figure):
                return best
        elif place == last and not calm:
            return best or (trial, figure)
        if kind is None:
            kind = sought.kind(place / rdo.PARTS, figure)
        away[place] = rdo.PARTS * (sought.code(sought.aim, kind) - sought.code(figure, kind))
        if high - low > 1:
            low, high = (place, high) if figure > sought.limit else (low, place)
        is_surrounded = low >= finest and high <= coarsest
        if len(trials) >= ENOUGH_TRIALS:
            if best is not None and abs(best[1] - sought.limit) <= LENIENT * sought.slack:
                break
            if calm:
                calm, low, high = 0, *jump
            if high - low == 1:
                break
            place = (low + high) // 2
        elif is_surrounded and trials.has_weight and (high - low == 1 or _jumps(low, high, away)):
            jump = jump if calm else (low, high)
            calm, away = calm + 1, {low: away[low]}
            low, high = finest - 1, coarsest + 1
            place = min(max(_next_place(low, high, away), finest), coarsest)
        elif high - low == 1:
            break
        else:
            place = _next_place(low, high, away)
            if not low < place < high:
                place = (low + high) // 2 if is_surrounded else min(max(place, low + 1), high - 1)
    if best is None:
        trial = trials.at(last)
        best = trial, measure(trial)
    return best


def _jumps(low: int, high: int, away: dict[int, float]) -> bool:
    """Tell whether figures jump between two places around the target."""
    apart = (high - low) / rdo.PARTS
    return apart <= JUMP_CODES and (away[low] - away[high]) / rdo.PARTS > STEEP * apart + JUMP


def _next_place(low: int, high: int, away: dict[int, float]) -> int:
    """Return where a line through two trials meets the aim: through those around it, the nearest to it if that is wide.

    On one side of it they never say that the slope is far from that of the photo's kind. After four on the same side,
    of a curve like no photo's, the search leaps.
    """
    near, *others = sorted(away, key=lambda place: abs(away[place]))
    if low in away and high in away and high - low <= NARROW_CODES * rdo.PARTS:
        near, others = low, [high]
    pace = (away[others[0]] - away[near]) / (near - others[0]) if others else 1.0
    if others and away[others[0]] * away[near] > 0:
        pace = min(max(pace, SLOWEST), FASTEST)
    leap = 4 if len(away) > 3 and min(away.values()) * max(away.values()) > 0 else 1
    return near + round(leap * away[near] / pace)
