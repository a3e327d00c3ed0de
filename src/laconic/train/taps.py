"""The 57 neighbors a symbol's context is made of, gathered as plain arrays (numpy twin of the native context).

Order: own band causal 12 (two rows above, five columns each from dx -2 to 2; then dx -2, -1 of the own row), then 3x3
blocks in raster order of the parent, of the siblings HL and LH, and of the same band in planes 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from laconic.container.layout import band_place
from laconic.entropy.context_network import FAR, INPUTS, TOLD
from laconic.entropy.network_arrays import MOST_INPUT
from laconic.entropy.sign_network import SIGN_INPUTS, most_sign_inputs
from laconic.entropy.tables import TAPS

__all__ = [
    "Sources",
    "bucket",
    "compand",
    "gather",
    "gather_context",
    "gather_signs",
    "repeat",
    "sources",
    "uncompand",
    "weighted_sum",
]

OWN = [(dy, dx) for dy in (-2, -1) for dx in range(-2, 3)] + [(0, -2), (0, -1)]
OWN_SIGNS = [(-2, -1), (-2, 0), (-2, 1), *((-1, dx) for dx in range(-2, 3)), (0, -2), (0, -1)]
WIDE = 5
"""How far the wider squares around a place reach."""
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


def gather_context(
    companded: list[list[np.ndarray]],
    told: list[np.ndarray],
    plane: int,
    band: int,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
    """(N, 77) uint8 inputs of a network that sees the context of a band of luma or chroma.

    Parameters
    ----------
    companded : [P][19] arrays
        Magnitudes of the bands.
    told : [19] arrays
        What is foretold of those of luma.
    """
    src = sources(companded, plane, band)
    orientation = band_place(band)[1]
    beside = (*src.planes, None) if plane else tuple(told[band - orientation + k] for k in range(3))
    out = np.zeros((len(rows), INPUTS), np.uint8)
    out[:, :TOLD] = gather(src, rows, columns)[:, :TOLD]
    for k, magnitudes in enumerate(beside):
        if magnitudes is None:
            continue
        padded = _framed(magnitudes, src.own.shape)
        for i, (dy, dx) in enumerate(SQUARE):
            out[:, TOLD + 9 * k + i] = padded[rows + dy + 1, columns + dx + 1]
    parents = [repeat(companded[plane][band - orientation - 3 + k]) if band > 3 else None for k in range(3)]
    far = [_box(of, src.own.shape, 1, 1, 1) for k, of in enumerate(parents) if k != orientation]
    far.append(_box(src.own, src.own.shape, 2, -1, WIDE))
    far += [_box(of, src.own.shape, WIDE, WIDE, WIDE) for of in (*beside, *parents, *src.siblings)]
    for k, sums in enumerate(far):
        out[:, FAR + k] = bucket(16 + 2 * sums[rows, columns])
    return np.minimum(out, MOST_INPUT)


def gather_signs(
    symbols: list[np.ndarray], told: list[np.ndarray], band: int, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(N, 64) int8 inputs of a network that tells the signs of a band of luma.

    Parameters
    ----------
    symbols, told : [19] arrays
        Of the bands of luma: symbols, and what is foretold with its sign.
    """
    orientation, shape = band_place(band)[1], symbols[band].shape
    first = band - orientation
    own = np.pad(symbols[band], 2)
    taken = [own[rows + dy + 2, columns + dx + 2] for dy, dx in OWN_SIGNS]
    parent = repeat(symbols[band - 3]) if band > 3 else None
    siblings = [symbols[first + k] if k < orientation else None for k in range(2)]
    for of in (parent, *siblings, *told[first : first + 3]):
        framed = np.zeros((1, 1), np.int32) if of is None else _framed(of, shape)
        taken += [
            framed[rows + dy + 1, columns + dx + 1] if of is not None else np.zeros(len(rows), np.int32)
            for dy, dx in SQUARE
        ]
    most = most_sign_inputs()
    assert len(taken) == SIGN_INPUTS
    return np.clip(np.stack(taken, -1), -most, most).astype(np.int8)


def _box(of: np.ndarray | None, shape: tuple[int, int], above: int, below: int, aside: int) -> np.ndarray:
    """Sums over rows y - above .. y + below, columns x - aside .. x + aside, of limited magnitudes inside `shape`."""
    h, w = shape
    framed = np.zeros((h + above + max(below, 0) + 1, w + 2 * aside + 1), np.int32)
    if of is not None:
        part = np.minimum(of[:h, :w], MOST_INPUT)
        framed[above + 1 : above + 1 + part.shape[0], aside + 1 : aside + 1 + part.shape[1]] = part
    rows = framed.cumsum(0)
    rows = rows[above + below + 1 :][:h] - rows[:h]
    columns = rows.cumsum(1)
    return columns[:, 2 * aside + 1 :] - columns[:, :w]


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
