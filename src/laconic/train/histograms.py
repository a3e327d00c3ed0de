"""From counts to the integer tables of the model: smoothing, shifts, groups, signs, reconstruction."""

from __future__ import annotations

import numpy as np

from laconic.entropy.tables import BUCKETS, KINDS, SIGNS, TOKENS
from laconic.train.counts import BIN_LOW
from laconic.train.taps import uncompand

__all__ = [
    "binary_frequency",
    "group_limit",
    "group_table",
    "magnitude_tables",
    "reconstruction_table",
    "sign_table",
    "to_frequencies",
]

TOTAL = 1 << 14
MAX_SHIFT = 8
ESCAPE = TOKENS - 1
MOSTLY_EMPTY = 0.93
"""Share of all-zero groups that a flag needs: 0.5 codes a tenth faster and costs 0.4 % more bytes; no flags at all cost
half the speed and save nothing more."""

PRIOR_STRENGTH = 24.0
"""Symbols the smoothed neighbors of a histogram count for."""


def to_frequencies(counts: np.ndarray) -> np.ndarray:
    """Integer frequencies (16,) that sum to 2^14 and lie near `counts`.

    Tokens 2..14 rarer than half a unit get 0 and travel by the escape: a floor of 1 for each would cost a tenth of
    the bits of the most skewed rows. Tokens 0, 1 and the escape keep at least 1.
    """
    share = counts / counts.sum() * TOTAL
    token = np.arange(TOKENS)
    rare = (token >= 2) & (token < ESCAPE) & (share < 0.5)
    share[ESCAPE] += share[rare].sum()
    freq = np.where(rare, 0, np.maximum(np.rint(share), 1)).astype(np.int64)
    freq[np.argmax(freq)] += TOTAL - freq.sum()
    return freq


def _expected_means(rows: np.ndarray, weights: np.ndarray, bias: int) -> np.ndarray:
    """(48,) mean magnitude of each bucket: measured where there are samples, elsewhere following the activity.

    A bucket's activity says what companded magnitude its neighbors have on average; how far the mean lies from that
    magnitude changes slowly, so it is interpolated between buckets with samples and held beyond them.
    """
    count = rows.sum(1)
    center = 16 * 2.0 ** ((np.arange(BUCKETS) + 0.5) / 4)
    total = max(float(weights.astype(np.int64).sum()), 64.0)
    level = np.log2(uncompand(np.clip((center - min(bias, 64)) / total, 0.004, 140)))
    seen = np.flatnonzero(count > 30)
    if not len(seen):
        return 2.0**level
    mean = (rows @ (BIN_LOW.astype(np.float64))) / np.maximum(count, 1e-9)
    offset = np.log2(np.maximum(mean[seen], 2e-4)) - level[seen]
    return 2.0 ** np.clip(level + np.interp(np.arange(BUCKETS), seen, offset), -13, 15)


def _geometric_bins(mean: float) -> np.ndarray:
    """(BINS,) probabilities of a geometric density of the given mean."""
    ratio = mean / (1 + mean)
    edges = ratio ** np.append(BIN_LOW, 1 << 20).astype(np.float64)
    return edges[:-1] - edges[1:]


def _smooth(rows: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Add to each histogram (48, BINS) the shape of its neighbors, or a geometric one where those are empty too."""
    near = np.zeros_like(rows)
    for offset, part in ((-2, 0.15), (-1, 0.35), (1, 0.35), (2, 0.15)):
        lo, hi = max(0, -offset), BUCKETS - max(0, offset)
        near[lo:hi] += part * rows[lo + offset : hi + offset]
    floor = np.stack([_geometric_bins(m) for m in means])
    prior = (near + 6.0 * floor) / (near.sum(1, keepdims=True) + 6.0)
    return rows + PRIOR_STRENGTH * (0.995 * prior + 0.005 * floor)


def _choose_shift(row: np.ndarray) -> int:
    """Number of raw low bits with which histogram `row` costs least."""
    best, least = 0, np.inf
    for shift in range(MAX_SHIFT + 1):
        t = BIN_LOW >> shift
        token = np.minimum(t, ESCAPE)
        hist = np.bincount(token, row, TOKENS) + 1e-3
        bits = -np.log2(hist / hist.sum())[token] + shift
        bits += np.where(token == ESCAPE, 5 + np.floor(np.log2(t + 1)), 0)
        cost = float((row * bits).sum() / row.sum())
        if cost < least - 1e-3:
            best, least = shift, cost
    return best


def magnitude_tables(magnitudes: np.ndarray, weights: np.ndarray, bias: int) -> tuple[np.ndarray, np.ndarray]:
    """Tables of one band.

    Parameters
    ----------
    magnitudes : (2, 48, BINS) counts, or (4, 48, BINS) of two quantizers
    weights : (57,), bias
        Of the band's context, for rows without samples.

    Returns
    -------
    freq (2, 48, 16) uint16 or (4, 48, 16), shift (48,) uint8
    """
    counts = magnitudes.astype(np.float64).reshape(-1, KINDS, BUCKETS, magnitudes.shape[-1])
    each = [_smoothed(of_quantizer, weights, bias) for of_quantizer in counts]
    shift = np.maximum.accumulate([_choose_shift(row) for row in sum(rows[0] for rows in each)]).astype(np.uint8)
    freq = np.zeros((len(each), KINDS, BUCKETS, TOKENS), np.uint16)
    for b in range(BUCKETS):
        token = np.minimum(BIN_LOW >> shift[b], ESCAPE)
        for quantizer, kind in np.ndindex(freq.shape[:2]):
            freq[quantizer, kind, b] = to_frequencies(np.bincount(token, each[quantizer][kind, b], TOKENS))
    return freq.reshape(-1, BUCKETS, TOKENS), shift


def _smoothed(counts: np.ndarray, weights: np.ndarray, bias: int) -> np.ndarray:
    means = _expected_means(counts[0], weights, bias)
    rows = np.stack([_smooth(counts[0], means), _smooth(counts[1], means)])
    known = rows[0] / rows[0].sum(1, keepdims=True)
    few = 200 / (200 + counts[1].sum(1))
    rows[1] += (few * 200)[:, None] * known
    return rows


def binary_frequency(counts: np.ndarray, prior: np.ndarray, strength: float) -> np.ndarray:
    """P(second outcome) of (..., 2) counts as 14-bit frequencies 1..16383, shrunk toward `prior`."""
    p = (counts[..., 1] + strength * prior) / (counts.sum(-1) + strength)
    return np.clip(np.rint(p * TOTAL), 1, TOTAL - 1).astype(np.uint16)


def group_limit(groups: np.ndarray, least: float = MOSTLY_EMPTY) -> int:
    """Largest group activity up to which at least `least` of the groups are all zero; 0 for no flags at all."""
    n = groups.sum(1)
    known = n > 20
    good = known & (groups[:, 1] >= least * n)
    if not good.any():
        return 0
    bad = known & ~good
    stop = int(np.argmax(bad)) if bad.any() else int(np.flatnonzero(good)[-1]) + 1
    e, part = stop // 4 + 4, stop % 4
    return 0 if stop == 0 else min(((4 + part) << (e - 2)) - 1, 65535)


def group_table(flags: np.ndarray) -> np.ndarray:
    """(48,) P(all zero) from (48, 2) counts; buckets without samples take the nearest one with."""
    n = flags.sum(1)
    p = (flags[:, 1] + 1) / (n + 2)
    seen = np.flatnonzero(n > 20)
    filled = np.interp(np.arange(BUCKETS), seen, p[seen]) if len(seen) else np.full(BUCKETS, 0.5)
    return binary_frequency(flags, filled, 8.0)


def sign_table(signs: np.ndarray) -> np.ndarray:
    """(27,) P(negative); a context and its mirror image (all signs swapped) share their counts."""
    flip = np.array([0, 2, 1])
    index = np.arange(SIGNS)
    mirror = 9 * flip[index // 9] + 3 * flip[index // 3 % 3] + flip[index % 3]
    return binary_frequency(signs + signs[mirror][:, ::-1], np.full(SIGNS, 0.5), 20.0)


def reconstruction_table(gaps: np.ndarray) -> np.ndarray:
    """(K, 48, 3) int8 distance of the mean coefficient below its whole step, in 1/64 step, from (count, summed gap)."""
    if len(gaps) > KINDS:
        return np.concatenate([reconstruction_table(gaps[:KINDS]), reconstruction_table(gaps[KINDS:])])
    count, gap = gaps[..., 0], gaps[..., 1]
    overall = gap.sum((0, 1)) / np.maximum(count.sum((0, 1)), 1e-9)
    near_count, near_gap = count.copy(), gap.copy()
    for array, source in ((near_count, count), (near_gap, gap)):
        array[:, 1:] += source[:, :-1]
        array[:, :-1] += source[:, 1:]
    base = (near_gap + 50 * overall) / (near_count + 50)
    mean = (gap + 50 * base) / (count + 50)
    return np.clip(np.rint(mean * 64), -40, 63).astype(np.int8)
