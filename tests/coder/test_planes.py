"""Laws of coded byte planes: they come back, and any other stream is a named error or other bytes, never a crash."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.coder import planes
from laconic.errors import CorruptStream


@given(st.integers(0, 40_000), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_bytes_come_back(count: int, spread: int, seed: int):
    random = np.random.default_rng(seed)
    plane = random.binomial(spread, 0.3, count).astype(np.uint8)
    low, high = (int(plane.min()), int(plane.max())) if count else (0, 0)
    out = np.empty(count, np.uint8)
    planes.pop(planes.push(plane, low, high), low, high, out)
    assert np.array_equal(out, plane)


@given(st.binary(max_size=300), st.integers(0, 20_000), st.integers(0, 255))
def test_any_bytes_are_a_plane_or_a_named_error(stream: bytes, count: int, low: int):
    out = np.empty(count, np.uint8)
    try:
        planes.pop(stream, low, 255, out)
    except CorruptStream:
        return
    assert out.min(initial=255) >= low


def test_a_byte_outside_the_range_is_refused():
    with pytest.raises(ValueError, match="range"):
        planes.push(np.array([5, 9], np.uint8), 5, 8)
