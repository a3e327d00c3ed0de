"""The 57 neighbors a symbol's context is made of, gathered as plain arrays (numpy twin of the native context).

Order: own band causal 12 (two rows above, five columns each from dx -2 to 2; then dx -2, -1 of the own row), then 3x3
blocks in raster order of the parent, of the siblings HL and LH, and of the same band in planes 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from laconic.container.layout import band_place
from laconic.entropy.context_network import INPUTS, MOST_INPUT, TOLD
from laconic.entropy.tables import TAPS

__all__ = ["Sources", "bucket", "compand", "gather", "gather_context", "repeat", "sources", "uncompand", "weighted_sum"]

OWN = [(dy, dx) for dy in (-2, -1) for dx in range(-2, 3)] + [(0, -2), (0, -1)]
SQUARE = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]


def compand_table(limit: int) -> np.ndarray:
    """Companded value of each magnitude below `limit`, uint8."""
    m = np.arange(limit, dtype=np.int64)
    e = np.frexp(np.maximum(m, 1).astype(np.float64))[1] - 1
    c = np.where(m < 16, m, 16 + (e - 4) * 8 + ((m >> np.maximum(e - 3, 0)) & 7))
    return np.minimum(c, 127).astype(np.uint8)


_COMPAND = compand_table(1 << 18)


def compand(q: np.ndarray) -> np.ndarray:
    """Companded magnitudes of the integers `q`, uint8 of the same shape."""
    return _COMPAND[np.minimum(np.abs(q), len(_COMPAND) - 1)]


def uncompand(c: np.ndarray) -> np.ndarray:
    """Magnitude, as a float, whose companded value is `c`."""
    octave = (c - 16) // 8
    return np.where(c < 16, c, (8 + (c - 16) - 8 * octave) * 2.0 ** (octave + 1))


@dataclass(frozen=True)
class Sources:
    """Companded arrays one band's context reads; None where the source does not exist."""

    own: np.ndarray
    parent: np.ndarray | None
    siblings: tuple[np.ndarray | None, np.ndarray | None]
    planes: tuple[np.ndarray | None, np.ndarray | None]

    def squares(self) -> tuple[np.ndarray | None, ...]:
        """The five 3x3 sources in tap order."""
        return (self.parent, *self.siblings, *self.planes)


def repeat(parent: np.ndarray) -> np.ndarray:
    """Parent samples repeated 2x2."""
    return np.repeat(np.repeat(parent, 2, 0), 2, 1)


def sources(companded: list[list[np.ndarray]], plane: int, j: int) -> Sources:
    """Sources of band `j` of `plane` in `companded[plane][band]`; planes past 2 (alpha) see only themselves."""
    bands = companded[plane]
    own = bands[j]
    orientation = band_place(j)[1]
    parent = repeat(bands[j - 3]) if j > 3 and bands[j - 3].size and own.size else None
    siblings = (bands[j - orientation] if orientation >= 1 else None, bands[j - 1] if orientation == 2 else None)
    colors = tuple(companded[k][j] if k < plane <= 2 else None for k in (0, 1))
    return Sources(own, parent, siblings, (colors[0], colors[1]))


def _framed(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """`array` in a frame of one sample around `shape`: zeros, but where it is larger than `shape` its own samples.

    On odd sizes the orientations of a level, and a repeated parent, differ from each other by a row or a column.
    """
    h, w = min(shape[0] + 1, array.shape[0]), min(shape[1] + 1, array.shape[1])
    out = np.zeros((shape[0] + 2, shape[1] + 2), array.dtype)
    out[1 : h + 1, 1 : w + 1] = array[:h, :w]
    return out


def gather(src: Sources, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(N, 57) uint8 taps at the given positions."""
    out = np.zeros((len(rows), TAPS), np.uint8)
    padded = np.pad(src.own, ((2, 0), (2, 2)))
    for k, (dy, dx) in enumerate(OWN):
        out[:, k] = padded[rows + dy + 2, columns + dx + 2]
    for k, square in enumerate(src.squares()):
        if square is not None:
            padded = _framed(square, src.own.shape)
            for i, (dy, dx) in enumerate(SQUARE):
                out[:, 12 + 9 * k + i] = padded[rows + dy + 1, columns + dx + 1]
    return out


def gather_context(src: Sources, told: list[np.ndarray], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(N, 66) uint8 inputs of a network that sees the context; `told` is what is foretold of HL, LH and HH."""
    out = np.zeros((len(rows), INPUTS), np.uint8)
    out[:, :TOLD] = gather(src, rows, columns)[:, :TOLD]
    for k, magnitudes in enumerate(told):
        padded = _framed(magnitudes, src.own.shape)
        for i, (dy, dx) in enumerate(SQUARE):
            out[:, TOLD + 9 * k + i] = padded[rows + dy + 1, columns + dx + 1]
    return np.minimum(out, MOST_INPUT)


def weighted_sum(src: Sources, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(sum without own row, own-row sum) over a whole band, int32."""
    h, w = src.own.shape
    total = np.zeros((h, w), np.int32)
    row = np.zeros((h, w), np.int32)
    padded = np.pad(src.own, ((2, 0), (2, 2))).astype(np.int32)
    for k, (dy, dx) in enumerate(OWN):
        if weights[k]:
            (row if dy == 0 else total)[...] += int(weights[k]) * padded[2 + dy : 2 + dy + h, 2 + dx : 2 + dx + w]
    for k, square in enumerate(src.squares()):
        if square is not None and np.any(weights[12 + 9 * k : 21 + 9 * k]):
            padded = _framed(square, (h, w)).astype(np.int32)
            for i, (dy, dx) in enumerate(SQUARE):
                if weights[12 + 9 * k + i]:
                    total += int(weights[12 + 9 * k + i]) * padded[1 + dy : 1 + dy + h, 1 + dx : 1 + dx + w]
    return total, row


def bucket(activity: np.ndarray) -> np.ndarray:
    """Bucket 0..47 of activities 16..65535."""
    a = np.clip(activity, 16, 65535).astype(np.int64)
    e = np.frexp(a.astype(np.float64))[1] - 1
    return (e - 4) * 4 + ((a >> (e - 2)) & 3)
