"""Laws of the wavelets: perfect reconstruction at every size, and the reference gives the same integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from laconic import _native
from laconic.transform import color, lifting, lifting_reference
from laconic.transform.lifting import Wavelet
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ONE = Workers(1)


@pytest.fixture(params=_native.instruction_sets())
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _native.instruction_set()
    _native.use_instruction_set(request.param)
    yield request.param
    _native.use_instruction_set(before)


def noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, top: int) -> NDArray[Any]:
    if rng.random() < 0.3:
        return np.where(rng.random(shape) < 0.5, top, -top).astype(dtype)
    return rng.integers(-top, top + 1, shape).astype(dtype)


def test_the_reversible_wavelet_is_undone_exactly_at_every_size():
    rng = np.random.default_rng(1)
    for height in range(1, 71):
        for width in range(1, 71):
            dtype, top = (np.int16, 255) if (height + width) % 2 else (np.int32, 131_071)
            plane = noise(rng, (1, height, width), dtype, top)
            bands = plane.copy()
            lifting.analyze(bands, [Wavelet.REVERSIBLE53], workers=ONE)
            lifting.synthesize(bands, [Wavelet.REVERSIBLE53], workers=ONE)
            assert np.array_equal(bands, plane), (height, width)


SIZES = [(1, 1), (1, 2), (2, 1), (3, 3), (1, 70), (70, 1), (5, 64), (64, 5), (33, 47), (70, 69), (128, 129)]


@pytest.mark.parametrize("wavelet", Wavelet)
@pytest.mark.parametrize(("dtype", "top"), [(np.int16, 2048), (np.int32, 1 << 20)])
def test_the_reference_gives_the_same_integers(wavelet: Wavelet, dtype: Any, top: int, instruction_set: str):
    rng = np.random.default_rng(2)
    for height, width in SIZES:
        plane = noise(rng, (1, height, width), dtype, top)
        bands = plane.copy()
        lifting.analyze(bands, [wavelet], workers=ONE)
        reversible = wavelet is Wavelet.REVERSIBLE53
        assert np.array_equal(bands[0], lifting_reference.analyze(plane[0], reversible=reversible)), instruction_set
        # What a damaged file may hold, too: any sample the type has.
        limit = np.iinfo(dtype)
        wild = rng.integers(limit.min, int(limit.max) + 1, (1, height, width)).astype(dtype)
        for given in (bands, wild):
            back = given.copy()
            lifting.synthesize(back, [wavelet], workers=ONE)
            assert np.array_equal(back[0], lifting_reference.synthesize(given[0], reversible=reversible))


def test_the_97_wavelet_brings_8_bit_pixels_back_to_within_two():
    # Every lifting step is undone exactly; only the scaling of the low band rounds, to 1/16 of a pixel, once a level
    # and direction. Two is the worst that noise, checkerboards and black-and-white pictures gave; photos give one.
    rng = np.random.default_rng(3)
    for height, width in [*SIZES, (200, 160)]:
        for pixels in (
            rng.integers(0, 256, (height, width, 3)),
            rng.integers(0, 2, (height, width, 3)) * 255,
            np.add.outer(np.arange(height), np.arange(width))[:, :, None].repeat(3, 2) % 2 * 255,
        ):
            planes = color.analyze(pixels.astype(np.uint8), lossless=False, workers=ONE)
            lifting.analyze(planes, [Wavelet.CDF97] * 3, workers=ONE)
            lifting.synthesize(planes, [Wavelet.CDF97] * 3, workers=ONE)
            back = color.synthesize(planes, lossless=False, workers=ONE)
            assert np.abs(back - pixels).max() <= 2


def test_the_extremes_of_8_bit_pictures_stay_inside_16_bits():
    # The sign pattern of a synthesis function is the worst input there is for its coefficient: no sample may wrap. A
    # wrapped sample would break the reconstruction, which is exact up to rounding.
    for height, width in [(64, 64), (127, 130)]:
        for band in ((0, 0), (1, 1), (0, 1), (2, 3), (height // 2, width // 2), (height - 1, width - 1)):
            bands = np.zeros((1, height, width), np.int32)
            bands[0][band] = 1 << 16
            lifting.synthesize(bands, [Wavelet.CDF97], workers=ONE)
            plane = np.where(bands >= 0, 2047, -2048).astype(np.int16)
            narrow, wide = plane.copy(), plane.astype(np.int32)
            lifting.analyze(narrow, [Wavelet.CDF97], workers=ONE)
            lifting.analyze(wide, [Wavelet.CDF97], workers=ONE)
            assert np.array_equal(narrow, wide)


def test_a_flat_plane_has_its_value_in_the_lowest_band_and_nothing_else():
    for wavelet in Wavelet:
        plane = np.full((1, 40, 33), 800, np.int16)
        lifting.analyze(plane, [wavelet], workers=ONE)
        assert np.abs(plane[0, 0, 0] - 800) <= 8
        plane[0, 0, 0] = 0
        assert np.abs(plane).max() <= 8


def test_threads_change_nothing():
    rng = np.random.default_rng(4)
    plane = noise(rng, (2, 300, 500), np.int16, 2048)
    one, many = plane.copy(), plane.copy()
    kinds = [Wavelet.CDF97, Wavelet.REVERSIBLE53]
    lifting.analyze(one, kinds, workers=ONE)
    with Workers(5) as workers:
        lifting.analyze(many, kinds, workers=workers)
        assert np.array_equal(one, many)
        lifting.synthesize(many, kinds, workers=workers)
    lifting.synthesize(one, kinds, workers=ONE)
    assert np.array_equal(one, many)
