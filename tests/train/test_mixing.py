"""What mixing begins with follows from its samples: tables are shares, weights those of logistic regression."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from laconic.entropy.tables import BUCKETS, DECISIONS, KINDS, PARTS
from laconic.train.mixing import USUAL, fit_mixing


def rows_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols that are 0 the more often the lower the bucket of part 1 is; nothing else tells anything."""
    buckets = rng.integers(0, BUCKETS, (count, PARTS + 1))
    chance = 1 / (1 + np.exp((buckets[:, 2] - 24) / 4))
    token = np.where(rng.random(count) < chance, 0, 1 + rng.integers(0, 4, count))
    kind = np.zeros(count, np.int64)
    return np.column_stack([buckets, kind, kind, token]).astype(np.uint8), chance


def test_the_part_that_tells_gets_the_weight():
    rng = np.random.default_rng(0)
    rows, _ = rows_of(rng, 200_000)
    freq = np.full((KINDS, BUCKETS, 16), 1024, np.uint16)
    part_freq, weights = fit_mixing(rows, np.ones(len(rows), np.float32), freq)
    assert part_freq.shape == (PARTS, BUCKETS, DECISIONS)
    assert part_freq[1, 4, 0] > 15_500
    assert part_freq[1, 44, 0] < 900
    assert np.all(np.abs(part_freq[2, :, 0] / 16384 - 0.5) < 0.05)
    assert weights[0, 0, 2] > 3800  # part 1 follows the whole activity and part 0


def test_without_samples_tables_are_even_and_weights_the_usual_ones():
    freq = np.full((2 * KINDS, BUCKETS, 16), 1024, np.uint16)
    part_freq, weights = fit_mixing(np.zeros((0, 8), np.uint8), np.zeros(0, np.float32), freq)
    assert part_freq.shape == (PARTS, 2 * BUCKETS, DECISIONS)
    assert np.all(part_freq == 8192)
    assert np.array_equal(weights[1, 2], np.rint(4096 * USUAL))
