"""Weighted samples of (taps, magnitude) pairs, from which the context weights of each band are fitted."""

from __future__ import annotations

import numpy as np

from laconic.entropy.tables import BANDS, TAPS
from laconic.train.symbols import Symbols
from laconic.train.taps import compand, gather, sources, weighted_sum

__all__ = ["BandSamples", "picture_weight", "sample"]

_ALL = np.ones(TAPS, np.int64)


class BandSamples:
    """Samples of one band, in chunks until they are needed."""

    def __init__(self) -> None:
        self.taps: list[np.ndarray] = []
        self.magnitudes: list[np.ndarray] = []
        self.weights: list[np.ndarray] = []

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N, 57) taps, (N,) magnitudes, (N,) weights."""
        return np.concatenate(self.taps), np.concatenate(self.magnitudes), np.concatenate(self.weights)


def picture_weight(symbols: Symbols) -> float:
    """Weight of one picture's bits: less at high rates, so that low rates count in percent, not in bytes."""
    return 1 / np.sqrt(symbols.density() + 0.02)


def sample(
    into: dict[tuple[int, int], BandSamples], symbols: Symbols, rng: np.random.Generator, cap: int, weight: float
) -> None:
    """Add up to `cap` samples a band. Positions whose taps are all zero are kept as counts, not as samples."""
    companded = [[compand(b) for b in plane] for plane in symbols.q]
    for p in range(len(companded)):
        for j in range(BANDS):
            q = symbols.q[p][j]
            if not q.size:
                continue
            src = sources(companded, p, j)
            above, row = weighted_sum(src, _ALL)
            active = (above + row) > 0
            ys, xs = np.nonzero(active)
            each = weight
            limit = cap * (3 if j > 15 else 2 if j > 12 else 1)
            if len(ys) > limit:
                pick = rng.choice(len(ys), limit, replace=False)
                each = weight * len(ys) / limit
                ys, xs = ys[pick], xs[pick]
            quiet, counts = np.unique(np.abs(q[~active]), return_counts=True)
            band = into.setdefault((p, j), BandSamples())
            band.taps.append(np.concatenate([gather(src, ys, xs), np.zeros((len(quiet), TAPS), np.uint8)]))
            band.magnitudes.append(np.concatenate([np.abs(q[ys, xs]), quiet]).astype(np.int32))
            band.weights.append(np.concatenate([np.full(len(ys), each), counts * weight]).astype(np.float32))
