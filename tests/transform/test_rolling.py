"""What passes by row by row is what the whole picture gives, to the last bit, both ways and for any strips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laconic.container.layout import BANDS, TileGrid, band_place, low_size
from laconic.transform import lifting, rolling
from laconic.transform.rolling import Passage, RollingAnalysis, RollingSynthesis
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = [lifting.Wavelet.CDF97, lifting.Wavelet.REVERSIBLE53]


def noise(height: int, width: int, dtype: Any, seed: int) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(-2048, 2048, (2, height, width)).astype(dtype)


def cut_in_rows(bands: NDArray[Any], side: int) -> list[NDArray[Any]]:
    """The bands of a whole picture as rows of tiles, by the layout that the format describes."""
    _, height, width = bands.shape
    grid = TileGrid(height, width, side)
    rows: list[NDArray[Any]] = []
    for row in range(grid.rows):
        own = min(side, height - row * side)
        part = np.empty((2, own, width), bands.dtype)
        for band in range(BANDS):
            level, orientation = band_place(band)
            below, beside = orientation in (1, 2), orientation in (0, 2)
            window = grid.window(row * grid.columns, band)
            right = grid.window((row + 1) * grid.columns - 1, band).right
            left = low_size(width, level) if beside else 0
            from_top = window.top + (low_size(height, level) if below else 0)
            to_top = low_size(own, level) if below else 0
            count = window.bottom - window.top
            part[:, to_top : to_top + count, left : left + right] = bands[
                :, from_top : from_top + count, left : left + right
            ]
        rows.append(part)
    return rows


def check(height: int, width: int, side: int, strips: list[int], jobs: int, dtype: Any = np.int16) -> None:
    planes = noise(height, width, dtype, height * 1000 + width)
    passage = Passage(2, height, width, dtype, KINDS, side)
    with Workers(jobs) as workers:
        bands = planes.copy()
        lifting.analyze(bands, KINDS, workers=workers)
        analysis, found, top = RollingAnalysis(passage, workers), [], 0
        while top < height:
            rows = strips[top % len(strips)]
            found += analysis.analyze(planes[:, top : top + rows].copy())
            top += rows
        expected = cut_in_rows(bands, side)
        assert len(found) == len(expected)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))

        synthesis = RollingSynthesis(passage, workers)
        back = np.concatenate([rows for tiles in found for rows in synthesis.synthesize(tiles)], axis=1)
        lifting.synthesize(bands, KINDS, workers=workers)
        assert np.array_equal(back, bands)


@settings(max_examples=150)
@given(
    st.integers(1, 700),
    st.integers(1, 40),
    st.sampled_from([64, 128, 192]),
    st.lists(st.integers(1, 300), min_size=1, max_size=5),
)
def test_any_height_in_any_strips(height: int, width: int, side: int, strips: list[int]):
    check(height, width, side, strips, 1)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (63, 65), (64, 64), (65, 129), (127, 30), (513, 77), (1025, 64)])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_edges_of_tiles(size: tuple[int, int], dtype: Any):
    for strips in ([1], [7], [64], [2000]):
        check(*size, 64, strips, 2, dtype)


def test_the_synthesis_may_take_small_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rolling, "PIECE", 1)
    check(333, 50, 64, [100], 1)


def test_rows_of_tiles_are_let_go():
    passage = Passage(1, 64 * 40, 64, np.int16, KINDS[:1], 64)
    with Workers(1) as workers:
        analysis, synthesis = RollingAnalysis(passage, workers), RollingSynthesis(passage, workers)
        for _ in range(40):
            for tiles in analysis.analyze(np.zeros((1, 64, 64), np.int16)):
                assert len(list(synthesis.synthesize(tiles))) >= 0
                assert len(synthesis._tiles) <= 6
            assert len(analysis._open) <= 6


def test_the_reach_is_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rolling, "REACH", 1)
    with pytest.raises(AssertionError):
        check(333, 50, 64, [100], 1)
