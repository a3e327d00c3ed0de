"""Laws of the fits: weights found on made-up symbols, tables that any histogram turns into."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.entropy.tables import BUCKETS, TAPS
from laconic.train import histograms
from laconic.train.counts import BIN_LOW, BINS, bin_of
from laconic.train.fit import code_length, fit_weights
from laconic.train.taps import bucket, compand, uncompand


def test_fit_finds_the_neighbors_that_matter() -> None:
    rng = np.random.default_rng(0)
    taps = rng.geometric(0.4, (30_000, TAPS)).astype(np.uint8) - 1
    scale = 0.2 + 0.5 * taps[:, 11] + 0.25 * taps[:, 7]
    magnitudes = rng.geometric(1 / (1 + scale)) - 1
    weight = np.ones(len(taps), np.float32)
    weights, bias = fit_weights(taps, magnitudes, weight, np.ones(TAPS, bool), steps=80)
    assert set(np.argsort(weights.astype(int))[-2:]) == {7, 11}
    flat = code_length(taps, magnitudes, weight, np.full(TAPS, 8, np.uint8), 24)
    assert code_length(taps, magnitudes, weight, weights, bias) < flat - 0.05
    assert bias + 127 * int(weights.astype(int).sum()) <= 65535


def test_unusable_taps_keep_weight_zero() -> None:
    rng = np.random.default_rng(1)
    taps = rng.integers(0, 4, (2000, TAPS)).astype(np.uint8)
    usable = np.arange(TAPS) < 12
    weights, _ = fit_weights(taps, taps[:, 20].astype(int), np.ones(2000, np.float32), usable, steps=5)
    assert not weights[12:].any()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=16, max_size=16), st.floats(1e-3, 1e3))
def test_frequencies_sum_to_the_total(counts: list[float], floor: float) -> None:
    freq = histograms.to_frequencies(np.asarray(counts) + floor)
    assert freq.sum() == 1 << 14
    assert freq.min() >= 0
    assert min(freq[0], freq[1], freq[15]) >= 1


@pytest.mark.parametrize("level", [0.0, 0.01, 3.0, 900.0])
def test_tables_are_valid_whatever_was_counted(level: float) -> None:
    counts = np.zeros((2, BUCKETS, BINS))
    rng = np.random.default_rng(2)
    if level:
        for b in range(10, 30):
            counts[0, b] = np.bincount(bin_of(rng.geometric(1 / (1 + level), 500) - 1), minlength=BINS)
    weights = np.full(TAPS, 8, np.uint8)
    freq, shift = histograms.magnitude_tables(counts, weights, 24)
    assert (freq.astype(int).sum(-1) == 1 << 14).all()
    assert (freq[..., 0] > 0).all()
    assert (freq[..., 15] > 0).all()
    assert shift.max() <= 8
    assert (np.diff(shift.astype(int)) >= 0).all()


def test_bins_and_companding_invert() -> None:
    assert (bin_of(BIN_LOW) == np.arange(BINS)).all()
    m = np.arange(1 << 17)
    assert (np.diff(bin_of(m)) >= 0).all()
    c = np.arange(127)
    assert (compand(np.ceil(uncompand(c)).astype(int)) == c).all()


def test_buckets_match_the_format() -> None:
    assert list(bucket(np.array([16, 19, 20, 31, 32, 65535]))) == [0, 0, 1, 3, 4, 47]


def test_group_limit_stops_where_groups_are_no_longer_empty() -> None:
    groups = np.zeros((BUCKETS, 2))
    groups[:8] = (5, 95)
    groups[8:] = (90, 10)
    limit = histograms.group_limit(groups)
    assert bucket(np.array([limit]))[0] == 7
    assert bucket(np.array([limit + 1]))[0] == 8
    assert histograms.group_limit(groups[:, ::-1][::-1] * 0) == 0


def test_mirrored_sign_contexts_mirror() -> None:
    rng = np.random.default_rng(3)
    freq = histograms.sign_table(rng.integers(0, 500, (27, 2)).astype(float)).astype(int)
    assert abs(freq[9 * 1 + 3 * 0 + 2] + freq[9 * 2 + 3 * 0 + 1] - (1 << 14)) <= 1
    assert freq[0] == 1 << 13
