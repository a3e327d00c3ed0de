"""Laws of the geometry: nothing is lost, nothing is covered twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.container.layout import (
    BANDS,
    LEVELS,
    TileGrid,
    band_index,
    band_place,
    band_shape,
    groups,
    high_size,
    low_size,
)

sizes = st.integers(1, 700)


@given(st.integers(1, 65535), st.integers(1, LEVELS))
def test_a_split_keeps_every_sample(size: int, level: int):
    assert low_size(size, level) + high_size(size, level) == low_size(size, level - 1)
    assert low_size(size, level) == -(-size // 2**level)


@given(sizes, sizes)
def test_the_bands_hold_as_many_coefficients_as_there_are_pixels(height: int, width: int):
    shapes = [band_shape(height, width, band) for band in range(BANDS)]
    assert sum(rows * columns for rows, columns in shapes) == height * width


def test_band_numbers_and_places_are_inverse():
    assert band_place(0) == (LEVELS, -1)
    places = [band_place(band) for band in range(1, BANDS)]
    assert [band_index(level, orientation) for level, orientation in places] == list(range(1, BANDS))
    assert places[0] == (6, 0)
    assert places[-1] == (1, 2)


@given(sizes, sizes, st.sampled_from([64, 128, 192, 1024]))
def test_the_tiles_cover_every_band_once(height: int, width: int, side: int):
    grid = TileGrid(height, width, side)
    for band in range(BANDS):
        rows, columns = band_shape(height, width, band)
        covered = [[0] * columns for _ in range(rows)]
        for tile in range(grid.count):
            top, bottom, left, right = grid.window(tile, band)
            assert 0 <= top <= bottom <= rows
            assert 0 <= left <= right <= columns
            for row in range(top, bottom):
                covered[row][left:right] = [count + 1 for count in covered[row][left:right]]
        assert all(count == 1 for row in covered for count in row)
    assert sum((w.bottom - w.top) * (w.right - w.left) for w in map(grid.pixels, range(grid.count))) == height * width


@pytest.mark.parametrize("cuts", range(64))
def test_groups_part_the_levels_at_the_cuts(cuts: int):
    parts = groups(cuts)
    assert [level for part in parts for level in part] == [6, 5, 4, 3, 2, 1]
    assert len(parts) == 1 + cuts.bit_count()
    assert all(part for part in parts[1:])
    assert {part[0] for part in parts[1:]} == {level for level in range(1, 7) if cuts >> (level - 1) & 1}
