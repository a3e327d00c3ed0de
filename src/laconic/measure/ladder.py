"""What another codec needs for the same picture: its bytes at a given PSNR, its file at a given size.

Peers take whole quality numbers, so neither is hit exactly. The bytes at a PSNR are interpolated between the two
neighboring qualities (logarithm of bytes over decibels); the file at a size is the best one that is not larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from laconic.measure.metrics import psnr
from laconic.measure.peers import RGB, AbstractPeer

# Encoding the highest quality is slow and seldom needed: a search begins below this one.
_MIDDLE = 80


@dataclass(frozen=True)
class Rung:
    """One file of a ladder: its quality number, bytes, restored pixels and PSNR in decibels."""

    quality: int
    data: bytes
    restored: RGB
    psnr: float


class Ladder:
    """One codec on one picture at whole qualities, each encoded once, when first asked for.

    Parameters
    ----------
    codec
        A codec whose bytes and PSNR grow with its quality number.
    pixels
        (H, W, 3) uint8.
    lowest, highest
        Its range of quality numbers.
    """

    def __init__(self, codec: AbstractPeer, pixels: RGB, *, lowest: int = 1, highest: int = 100) -> None:
        self.codec = codec
        self.pixels = pixels
        self.lowest = lowest
        self.highest = highest
        self._rungs: dict[int, Rung] = {}

    def at(self, quality: int) -> Rung:
        """The file of one quality."""
        if quality not in self._rungs:
            data = self.codec.encode(self.pixels, quality)
            restored = self.codec.decode(data)
            self._rungs[quality] = Rung(quality, data, restored, psnr(self.pixels, restored))
        return self._rungs[quality]

    def bytes_at_psnr(self, decibels: float) -> float | None:
        """Bytes at a PSNR, interpolated between two neighboring qualities; None where the codec does not reach it."""
        found = self._enclose(decibels, lambda rung: rung.psnr)
        if found is None:
            return None
        below, above = found
        if math.isinf(above.psnr) or above.psnr <= below.psnr:
            return float(len(below.data))
        share = (decibels - below.psnr) / (above.psnr - below.psnr)
        return len(below.data) ** (1 - share) * len(above.data) ** share

    def within_bytes(self, size: int) -> Rung:
        """The best file of at most `size` bytes, or the smallest one where none is."""
        found = self._enclose(math.log(size), lambda rung: math.log(len(rung.data)))
        if found is not None:
            return found[0]
        lowest, highest = self.at(self.lowest), self.at(self.highest)
        return highest if len(highest.data) <= size else lowest

    def _enclose(self, target: float, value: Callable[[Rung], float]) -> tuple[Rung, Rung] | None:
        """Neighboring rungs with value(first) <= target < value(second), found in few encodings, or None."""
        low, high = self.at(self.lowest), self.at(min(_MIDDLE, self.highest))
        if value(high) <= target:
            low, high = high, self.at(self.highest)
        if not value(low) <= target < value(high):
            return None
        turn = 0
        while high.quality - low.quality > 1:
            # Values rise almost evenly with quality, so guess along the chord; every third step halves for safety.
            turn += 1
            share = (target - value(low)) / (value(high) - value(low)) if turn % 3 and value(high) < math.inf else 0.5
            guess = low.quality + round(share * (high.quality - low.quality))
            rung = self.at(min(max(guess, low.quality + 1), high.quality - 1))
            if value(rung) <= target:
                low = rung
            else:
                high = rung
        return low, high
