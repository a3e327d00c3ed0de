"""The native filters of PNG: shapes are checked, rows come back, and damage is told by its row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic import _native


@given(st.integers(1, 9), st.integers(1, 20), st.sampled_from([1, 2, 3, 4, 6, 8]), st.integers(0, 99))
def test_rows_come_back(rows: int, pixels: int, step: int, seed: int):
    rng = np.random.default_rng(seed)
    given_rows = rng.integers(0, 256, (rows, pixels * step), np.uint8)
    above = rng.integers(0, 256, pixels * step, np.uint8)
    filtered = np.empty((rows, pixels * step + 1), np.uint8)
    _native.png_filter(given_rows, above, filtered, step)
    assert filtered[:, 0].max() <= 4
    back = np.empty_like(given_rows)
    assert _native.png_unfilter(filtered, above, back, step) == -1
    assert np.array_equal(back, given_rows)
    filtered[-1, 0] = 5
    assert _native.png_unfilter(filtered, above, back, step) == rows - 1


@pytest.mark.parametrize(
    ("filtered", "above", "rows", "step"),
    [((2, 7), 6, (2, 6), 0), ((2, 7), 6, (2, 6), 9), ((2, 7), 6, (2, 6), 4), ((2, 6), 6, (2, 6), 3),
     ((2, 7), 5, (2, 6), 3), ((1, 7), 6, (2, 6), 3), ((2, 1), 0, (2, 0), 1)],
)  # fmt: skip
def test_other_shapes_are_refused(filtered: tuple[int, int], above: int, rows: tuple[int, int], step: int):
    given = np.zeros(filtered, np.uint8), np.zeros(above, np.uint8), np.zeros(rows, np.uint8)
    with pytest.raises(ValueError, match="rows"):
        _native.png_unfilter(*given, step)
    with pytest.raises(ValueError, match="rows"):
        _native.png_filter(given[2], given[1], given[0], step)
