"""The choice of reversible colors: made for the picture, alike however its rows come, and worth its trouble."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import laconic as lac
from laconic.transform.color import COLORS
from laconic.transform.color_choice import choose

YCOCG = 0


def chosen(pixels: Any, rows: int = 1000) -> int:
    return choose(pixels[top : top + rows] for top in range(0, len(pixels), rows))


def smooth(rng: np.random.Generator, shape: tuple[int, ...], size: float) -> Any:
    """Noise that still is there at half the size."""
    coarse = rng.normal(0, size, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    return coarse.repeat(4, 0).repeat(4, 1)[: shape[0], : shape[1]]


def burned_out(height: int = 96, width: int = 160) -> Any:
    """Red and green at their end, blue not: only channels and their differences keep that."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[..., 2] = 128 + smooth(np.random.default_rng(3), (height, width), 20).clip(-100, 100)
    return pixels


def of_one_light(height: int = 96, width: int = 160) -> Any:
    """All channels the same but for a little noise."""
    rng = np.random.default_rng(4)
    light = smooth(rng, (height, width), 20)[..., None] + rng.normal(0, 4, (height, width, 3))
    return (128 + light).clip(0, 255).astype(np.uint8)


def test_burned_out_channels_are_coded_as_they_are():
    colors = chosen(burned_out())
    assert colors // 6 in (3, 4)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 50])
def test_it_does_not_matter_how_the_rows_come(rows: int):
    for pixels in (burned_out(), of_one_light(97, 131), of_one_light().astype(np.uint16) * 257):
        assert chosen(pixels, rows) == chosen(pixels)


def test_small_pictures_have_the_first_colors():
    rng = np.random.default_rng(5)
    for height, width in ((1, 1), (1, 300), (300, 60)):
        assert chosen(rng.integers(0, 256, (height, width, 3)).astype(np.uint8)) == YCOCG


def test_the_choice_saves_bytes_and_is_in_the_file():
    pixels = burned_out()
    data = lac.compress(pixels, lossless=True, effort=6)
    assert lac.inspect(data).parameter_set == chosen(pixels) < COLORS
    assert np.array_equal(lac.decompress(data), pixels)
    gray = lac.compress(pixels[..., 2], lossless=True, effort=6)
    assert len(data) < 1.1 * len(gray)  # the rest of it is next to nothing


def test_regions_and_alpha_know_the_colors():
    pixels = np.concatenate([burned_out(), of_one_light()[..., :1]], axis=2)
    data = lac.ImageCodec(lossless=True, effort=6, tile=64).encode(pixels)
    assert lac.inspect(data).parameter_set > 0
    assert np.array_equal(lac.decompress(data, region=(40, 30, 50, 20)), pixels[30:50, 40:90])
