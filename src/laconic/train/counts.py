"""Counting the symbols of photos by the context they are coded in.

`count_band` obeys the context rules of the format exactly (buckets, zero groups, pending symbols, sign contexts), so
that tables made from it are histograms of what the coder meets, not of an approximation.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from laconic.entropy.tables import BUCKETS, KINDS, QUANTIZERS, SIGNS
from laconic.quantize.dependent import quantizers
from laconic.train.taps import Sources, bucket, weighted_sum

__all__ = ["BINS", "BIN_LOW", "GROUP", "Counts", "bin_of", "count_band", "group_flags", "sign_index"]

GROUP = 16
EXACT = 256
BINS = EXACT + 12 * 16
"""Magnitudes are counted one by one below 256, then in 16 bins an octave: never coarser than a token."""


def bin_of(m: np.ndarray) -> np.ndarray:
    """Bin of each magnitude."""
    m = np.minimum(np.asarray(m, np.int64), (1 << 20) - 1)
    e = np.frexp(np.maximum(m, EXACT).astype(np.float64))[1] - 1
    return np.where(m < EXACT, m, EXACT + (e - 8) * 16 + ((m >> (e - 4)) & 15))


def _lows() -> np.ndarray:
    k = np.arange(BINS, dtype=np.int64) - EXACT
    return np.where(k < 0, k + EXACT, (16 + (k & 15)) << np.maximum((k >> 4) + 4, 0))


BIN_LOW = _lows()
"""(BINS,) smallest magnitude of each bin."""


@dataclass
class Counts:
    """Weighted counts for the P planes of a parameter set.

    Attributes
    ----------
    magnitudes : (P, 19, K, 48, BINS) by kind, bucket and bin of the magnitude; K is 2 for each quantizer
    flags : (P, 19, 48, 2) by bucket and whether a flagged group was all zero
    groups : (P, 19, 48, 2) the same of all groups that a flag would be possible for
    signs : (P, 19, 27, 2) by sign context and whether negative
    gaps : (P, 19, K, 48, 3, 2) by kind, bucket and magnitude 1, 2, more: count, and the summed distance from the
        coefficient up to the whole step
    """

    magnitudes: np.ndarray
    flags: np.ndarray
    groups: np.ndarray
    signs: np.ndarray
    gaps: np.ndarray

    @classmethod
    def zeros(cls, planes: int, bands: int = 19, *, trellis: bool = False) -> Counts:
        """Counts of nothing."""
        head = (planes, bands)
        kinds = KINDS * QUANTIZERS if trellis else KINDS
        return cls(
            np.zeros((*head, kinds, BUCKETS, BINS), np.float32),
            np.zeros((*head, BUCKETS, 2)),
            np.zeros((*head, BUCKETS, 2)),
            np.zeros((*head, SIGNS, 2)),
            np.zeros((*head, kinds, BUCKETS, 3, 2)),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The counts by name, for a checkpoint."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def sign_index(q: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    """Sign context 0..26 of each position; `other` gives the third sign, None means the north-west neighbor."""
    s = np.where(q > 0, 1, np.where(q < 0, 2, 0))
    padded = np.pad(s, ((1, 0), (1, 0)))
    third = padded[:-1, :-1] if other is None else np.where(other > 0, 1, np.where(other < 0, 2, 0))
    return 9 * padded[1:, :-1] + 3 * padded[:-1, 1:] + third


def group_flags(m: np.ndarray, above: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Zero-group decisions of a band.

    Parameters
    ----------
    m : (H, W) magnitudes
    above : (H, W) activity without the own-row taps
    limit
        Largest group activity that carries a flag.

    Returns
    -------
    flagged (H, G) bool, empty (H, G) bool, activity (H, G), kind (H, W): -1 where a flag says zero, else 0 or 1
    """
    h, w = m.shape
    groups = -(-w // GROUP)
    pad = groups * GROUP - w
    wide = np.pad(m, ((0, 0), (2, pad)))
    cells = wide[:, 2:].reshape(h, groups, GROUP)
    activity = np.pad(above, ((0, 0), (0, pad))).reshape(h, groups, GROUP).sum(2, dtype=np.int64) >> 4
    starts = np.arange(groups) * GROUP
    flagged = (wide[:, starts] == 0) & (wide[:, starts + 1] == 0) & (activity <= limit)
    empty = ~cells.any(2)
    nonzero = cells != 0
    pending = flagged[..., None] & (np.cumsum(nonzero, 2) - nonzero == 0)
    kind = np.where(flagged[..., None] & empty[..., None], -1, pending.astype(np.int8))
    return flagged, empty, activity, kind.reshape(h, groups * GROUP)[:, :w]


def count_band(
    into: Counts,
    place: tuple[int, int],
    q: np.ndarray,
    src: Sources,
    model: tuple[np.ndarray, int, int],
    other_signs: np.ndarray | None,
    values: np.ndarray | None,
    weight: float,
    told: np.ndarray | None = None,
) -> None:
    """Count one band of one picture.

    Parameters
    ----------
    place : (plane, band)
    q : (H, W) symbols
    model : (weights (57,), bias, group limit)
    other_signs : (H, W) or None
        The plane that gives the third sign.
    values : (H, W) or None
        Magnitudes before quantization, in steps.
    weight
        What one symbol counts.
    told : (H, W) or None
        What is foretold, as it counts in the activity.
    """
    weights, bias, limit = model
    m = np.abs(q)
    above, row = weighted_sum(src, weights)
    above += bias if told is None else bias + told
    k = bucket(above + row)
    flagged, empty, activity, kind = group_flags(m, above, limit)
    quiet = np.pad(m, ((0, 0), (2, 0)))[:, :-2] + np.pad(m, ((0, 0), (1, 0)))[:, :-1]
    possible = quiet[:, ::GROUP] == 0
    g = bucket(np.maximum(activity, 16))
    for name, where in (("flags", flagged), ("groups", possible)):
        cells = np.bincount(g[where] * 2 + empty[where], minlength=2 * BUCKETS).reshape(BUCKETS, 2)
        getattr(into, name)[place] += weight * cells
    coded = kind >= 0
    kinds = into.magnitudes.shape[2]
    if kinds > KINDS and place[1] > 0:  # the lowest band has no trellis
        kind = np.where(coded, kind + KINDS * quantizers(m, kind < 0).astype(np.int8), kind)
    cell = (kind[coded].astype(np.int64) * BUCKETS + k[coded]) * BINS + bin_of(m[coded])
    if cell.size:
        target = into.magnitudes[place].reshape(-1)
        which, times = np.unique(cell, return_counts=True)
        target[which] += np.float32(weight) * times
    nonzero = m > 0
    index = sign_index(q, other_signs)[nonzero]
    into.signs[place] += weight * np.bincount(index * 2 + (q[nonzero] < 0), minlength=2 * SIGNS).reshape(SIGNS, 2)
    if values is not None:
        where = (kind[nonzero].astype(np.int64) * BUCKETS + k[nonzero]) * 3 + np.minimum(m[nonzero], 3) - 1
        size = kinds * BUCKETS * 3
        shape = (kinds, BUCKETS, 3)
        into.gaps[place][..., 0] += weight * np.bincount(where, minlength=size).reshape(shape)
        gap = np.clip(m[nonzero] - values[nonzero], -1, 1)
        into.gaps[place][..., 1] += weight * np.bincount(where, gap, minlength=size).reshape(shape)
