"""Laws of trellis-coded quantization: what comes back, how near the bound, and that a higher effort is never worse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.codecs import weights
from laconic.entropy.levels import MAX_TRELLIS_TOKENS, LevelLayout
from laconic.quantize.trellis import MOST_OFFSET, estimate, quantize

SIDE = 256


def source(kind: str, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    values = random.standard_normal((SIDE, SIDE)) if kind == "gauss" else random.laplace(size=(SIDE, SIDE))
    return (values / values.std()).astype(np.float32)


def gap(values: Any, bits_per_weight: float, effort: int) -> float:
    """Bits above the Gaussian bound, by the bytes of a whole file."""
    data = weights.shrink({"w": values}, bpw=bits_per_weight, effort=effort)
    error = np.mean((weights.load(data)["w"].astype(np.float64) - values) ** 2)
    return 8 * len(data) / values.size + 0.5 * math.log2(error)


@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0, 4.0])
def test_files_of_gaussian_values_are_near_the_bound(rate: float):
    values = source("gauss")
    found = [gap(values, rate, effort) for effort in (1, 5, 10)]
    assert found[0] < 0.10
    assert found[1] < 0.07
    assert found[2] < 0.055
    assert found == sorted(found, reverse=True)


def test_a_scalar_quantizer_would_be_a_quarter_of_a_bit_above():
    """The law can fail: entropy-coded uniform scalar quantization misses it."""
    values = source("gauss").ravel()
    step = 0.5
    levels, counts = np.unique(np.rint(values / step), return_counts=True)
    rate = -(counts * np.log2(counts / len(values))).sum() / len(values)
    error = np.mean((values - step * np.rint(values / step)) ** 2)
    assert len(levels) > 10
    assert rate + 0.5 * math.log2(error) > 0.2


@given(st.integers(2, 8), st.integers(1, 300), st.floats(0.01, 100), st.integers(0, 2**32 - 1))
def test_any_values_are_quantized_and_the_offsets_keep_the_order(bits: int, count: int, step: float, seed: int):
    values = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    layout = LevelLayout(count, bits, 0, MAX_TRELLIS_TOKENS, 8)
    found = quantize(values, step, layout.fields)
    assert found.levels.shape == (count,)
    assert all(abs(offset) <= MOST_OFFSET for offset in found.offsets)
    again = quantize(values, step, layout.fields)
    assert np.array_equal(found.levels, again.levels)


def test_the_estimate_is_what_coding_takes():
    values = source("gauss").ravel()
    layout = LevelLayout(SIDE, 3, 0, MAX_TRELLIS_TOKENS, 8)
    found = estimate(values, 0.5, layout.fields)
    assert found.bits == pytest.approx(2.03, abs=0.05)
    assert found.error == pytest.approx(0.066, rel=0.05)


def test_what_is_no_number_is_refused():
    layout = LevelLayout(4, 3, 0, MAX_TRELLIS_TOKENS, 8)
    with pytest.raises(ValueError, match="finite"):
        quantize(np.array([1, math.nan, 2, 3], np.float32), 1.0, layout.fields)
