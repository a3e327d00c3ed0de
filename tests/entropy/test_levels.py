"""Laws of the entropy model of levels: they come back, damage is named, and contexts pay where energies differ."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic import _native
from laconic.coder.rans_reference import RansReader
from laconic.entropy.levels import LevelLayout, most_levels, pop_levels, push_levels, scale_of
from laconic.entropy.levels_reference import Trellis, parse_levels
from laconic.errors import CorruptStream


def coded(levels: Any, columns: int, contexts: int) -> tuple[LevelLayout, bytes]:
    layout = LevelLayout(
        columns, 0, contexts, _native.tokens_of(levels, 0, False), scale_of(float(2 * np.abs(levels).mean()))
    )
    return layout, push_levels(levels, layout)


@given(st.lists(st.integers(-(2**30) + 1, 2**30 - 1), min_size=1, max_size=200), st.integers(1, 50), st.integers(0, 3))
def test_levels_come_back(values: list[int], columns: int, contexts: int):
    levels = np.array(values, np.int32)
    layout, stream = coded(levels, columns, contexts)
    assert np.array_equal(pop_levels(stream, len(levels), layout), levels)


@given(st.binary(max_size=200), st.integers(0, 500), st.integers(0, 3))
def test_any_bytes_are_levels_or_a_named_error(stream: bytes, count: int, contexts: int):
    layout = LevelLayout(10, 3, contexts, 20, 8)
    try:
        found = pop_levels(stream, count, layout, (0,) * 6)
    except CorruptStream:
        return
    assert found.shape == (count,)


def test_a_count_that_the_bytes_cannot_hold_is_refused_before_memory_is_taken():
    layout, stream = coded(np.zeros(100, np.int32), 10, 0)
    assert most_levels(len(stream)) < 1 << 40
    with pytest.raises(CorruptStream, match="levels"):
        pop_levels(stream, 1 << 40, layout)


def test_columns_of_different_energy_are_told_apart():
    random = np.random.default_rng(3)
    scales = 2.0 ** random.integers(-2, 5, 64)
    levels = np.rint(random.laplace(size=(400, 64)) * scales).astype(np.int32).ravel()
    plain, rows, columns, both = (len(coded(levels, 64, contexts)[1]) for contexts in range(4))
    assert columns < 0.9 * plain
    assert columns < rows
    assert both < 0.92 * plain


def test_rows_of_different_energy_are_told_apart():
    random = np.random.default_rng(3)
    scales = 2.0 ** random.integers(-2, 5, (400, 1))
    levels = np.rint(random.laplace(size=(400, 64)) * scales).astype(np.int32).ravel()
    plain, rows, *_ = (len(coded(levels, 64, contexts)[1]) for contexts in range(4))
    assert rows < 0.93 * plain


@pytest.mark.parametrize("bits", [0, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("contexts", [0, 1, 2, 3])
def test_the_reference_decoder_reads_the_same(bits: int, contexts: int):
    random = np.random.default_rng(bits)
    levels: list[int] = []
    shared = bits % 2 == 1
    trellis = Trellis(bits, shared_zero=shared)
    for size in np.minimum(random.pareto(0.7, 1500), 32000 if bits else 1e9).astype(int).tolist():
        levels.append(int(random.choice([-1, 1])) * (size + trellis.least))
        trellis.advance(levels[-1])
    found = np.array(levels, np.int32)
    layout = LevelLayout(37, bits, contexts, _native.tokens_of(found, bits, shared), 9, shared)
    stream = push_levels(found, layout)
    assert np.array_equal(pop_levels(stream, len(found), layout), found)
    reader = RansReader(stream)

    def pop(starts: list[int]) -> int:
        which = bisect_right(starts, reader.slot()) - 1
        reader.take(starts[which], starts[which + 1] - starts[which])
        return which

    assert parse_levels(pop, len(found), layout) == levels
    reader.finish()
