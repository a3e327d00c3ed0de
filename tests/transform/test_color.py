"""Laws of the colors: lossless is exact, lossy is within half a gray level, the reference gives the same integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from laconic import _native
from laconic.transform import color, color_reference
from laconic.transform.workers import Workers

ONE = Workers(1)
CASES = [(dtype, channels) for dtype in (np.uint8, np.uint16) for channels in (1, 2, 3, 4)]


def pixels_of(dtype: Any, channels: int) -> Any:
    rng = np.random.default_rng(channels)
    top = int(np.iinfo(dtype).max)
    pixels = rng.integers(0, top + 1, (61, 70, channels))
    pixels[:20] = rng.integers(0, 2, (20, 70, channels)) * top
    return pixels.astype(dtype)


@pytest.mark.parametrize(("dtype", "channels"), CASES)
@pytest.mark.parametrize("name", _native.instruction_sets())
def test_the_reference_gives_the_same_integers(dtype: Any, channels: int, name: str):
    before = _native.instruction_set()
    _native.use_instruction_set(name)
    pixels = pixels_of(dtype, channels)
    for lossless, colors in ((False, 0), *((True, number) for number in range(color.COLORS))):
        planes = color.analyze(pixels, lossless=lossless, workers=ONE, colors=colors)
        assert np.array_equal(planes, color_reference.analyze(pixels, lossless=lossless, colors=colors))
        limit = 32768 if dtype == np.uint8 else 1 << 24
        wild = np.random.default_rng(9).integers(-limit, limit, planes.shape).astype(planes.dtype)
        for given in (planes, wild):
            back = color.synthesize(given, lossless=lossless, workers=ONE, colors=colors)
            assert np.array_equal(back, color_reference.synthesize(given, lossless=lossless, colors=colors))
    _native.use_instruction_set(before)


@pytest.mark.parametrize(("dtype", "channels"), CASES)
def test_lossless_colors_come_back_exactly(dtype: Any, channels: int):
    pixels = pixels_of(dtype, channels)
    for colors in range(color.COLORS):
        planes = color.analyze(pixels, lossless=True, workers=ONE, colors=colors)
        assert np.array_equal(color.synthesize(planes, lossless=True, workers=ONE, colors=colors), pixels)


@pytest.mark.parametrize(("dtype", "channels"), CASES)
def test_lossy_colors_come_back_after_rounding_and_alpha_exactly(dtype: Any, channels: int):
    pixels = pixels_of(dtype, channels)
    planes = color.analyze(pixels, lossless=False, workers=ONE)
    back = color.synthesize(planes, lossless=False, workers=ONE)
    # In 1/16 units Y, Cb and Cr are within 1/32; that is 0.09 of a gray level at most in blue. 16-bit pictures lose up
    # to two levels of 65536 to the 14-bit coefficients of the inverse.
    assert np.abs(back.astype(int) - pixels).max() <= (0 if dtype == np.uint8 else 2)
    if channels in (2, 4):
        assert np.array_equal(back[..., -1], pixels[..., -1])


def test_unknown_colors_are_refused():
    pixels, planes = np.zeros((2, 2, 3), np.uint8), np.zeros((3, 2, 2), np.int16)
    for colors in (-1, color.COLORS):
        with pytest.raises(ValueError, match="colors"):
            _native.analyze_color(pixels, planes, True, 0, 2, colors)


def test_gray_has_no_color():
    gray = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, 2)
    planes = color.analyze(gray, lossless=False, workers=ONE)
    assert not planes[1:].any()
    assert np.array_equal(planes[0, :, 0], (np.arange(256) - 128) * 16)
