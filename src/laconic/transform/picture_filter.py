"""The filter that a picture may bring along: what its decoded samples and the network's corrections still tell of it.

A network is the same for all pictures; what is peculiar to one (how sharp it is, how its chroma was made, its grain) a
few taps say, which the encoder finds by least squares (a Wiener filter, as in the loop filters of video codecs: Tsai et
al., "Adaptive loop filtering for video coding", 2013). `spec/network.md`, section 4, says what they are taps of.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_SUM", "SHIFTS", "TAPS", "Filter"]

TAPS = (19, 26, 26)
"""Of each color plane: its correction, 6 pairs of corrections, 12 pairs of decoded samples; chroma: the correction of
luma and 6 pairs of its decoded samples as well. (Which, `native/picture_filter.h` knows.)"""
SHIFTS = range(5, 13)
MAX_SUM = 1 << 13
"""Of the magnitudes of a plane's taps: no sum of the filter leaves 32 bits."""


@dataclass(frozen=True)
class Filter:
    """Taps of a filter.

    Attributes
    ----------
    shift : int
        A tap stands for ``tap / 2^shift``; 5 .. 12.
    taps : tuple of tuples of int
        Of one plane (gray) or three, as many as `TAPS` says; the magnitudes of a plane's add up to 2^13 at most.
    """

    shift: int
    taps: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        assert self.shift in SHIFTS
        assert [len(taps) for taps in self.taps] == list(TAPS[: len(self.taps)])
        assert all(sum(map(abs, taps)) <= MAX_SUM for taps in self.taps)
