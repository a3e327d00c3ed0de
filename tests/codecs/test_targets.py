"""Size, rate and PSNR targets: met on the right side, and refused by name where no step meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic.codecs.targets import MAX_TRIALS, Target, find_code, psnr
from laconic.errors import TargetUnreachable, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize("size", [500, 3000, 20_000])
def test_a_size_is_met_from_below_and_nearly_used_up(size: int, photo: NDArray[np.uint8]):
    data = lac.compress(photo, size=size)
    assert 0.97 * size <= len(data) <= size
    assert lac.inspect(data).quality is None


@pytest.mark.parametrize("bpp", [0.2, 1.0, 4.0])
def test_a_rate_is_a_size(bpp: float, photo: NDArray[np.uint8]):
    data = lac.compress(photo, bpp=bpp)
    assert 0.97 * bpp <= 8 * len(data) / (photo.shape[0] * photo.shape[1]) <= bpp


@pytest.mark.parametrize("least", [26.0, 33.3, 45.0])
def test_a_psnr_is_met_from_above(least: float, photo: NDArray[np.uint8]):
    data = lac.compress(photo, psnr=least)
    assert least <= psnr(photo, lac.decompress(data)) <= least + 0.2


@pytest.mark.parametrize(
    ("target", "words"), [({"size": 40}, "40"), ({"bpp": 0.001}, "coarsest"), ({"psnr": 99.0}, "lossless")]
)
def test_what_no_step_reaches_is_refused_by_name(target: dict[str, Any], words: str, photo: NDArray[np.uint8]):
    with pytest.raises(TargetUnreachable, match=words):
        lac.compress(photo, **target)


def test_a_flat_picture_reaches_any_psnr():
    flat = np.full((40, 40, 3), 128, np.uint8)
    assert np.array_equal(lac.decompress(lac.compress(flat, psnr=90)), flat)


@pytest.mark.parametrize(
    "settings",
    [
        {"quality": 60, "bpp": 1.0},
        {"quality": 60, "lossless": True},
        {"size": 1000, "psnr": 30.0},
        {"quality": -1},
        {"quality": 101},
        {"quality": 60.5},
        {"bpp": 0.0},
        {"bpp": float("nan")},
        {"psnr": float("inf")},
        {"size": 0},
        {"size": -5},
        {"effort": 0},
        {"effort": 11},
        {"jobs": 0},
        {"tile": 100},
        {"tile": 0},
        {"tile": 16_384},
    ],
    ids=str,
)
def test_settings_that_do_not_exist_are_refused(settings: dict[str, Any]):
    with pytest.raises(UsageError):
        lac.ImageCodec(**settings)


def test_the_search_is_short_and_right_on_any_falling_curve():
    rng = np.random.default_rng(1)
    for _ in range(200):
        lengths = np.sort(rng.integers(10, 100_000, 768))[::-1]
        if rng.random() < 0.3:
            lengths[: rng.integers(768)] = 100_000  # a cliff
        limit = int(rng.integers(lengths[-1], 120_000))
        trials: list[int] = []

        def attempt(code: int, lengths: Any = lengths, trials: list[int] = trials) -> bytes:
            trials.append(code)
            return bytes(int(lengths[code]))

        found = find_code(Target(size=limit), attempt, np.zeros(101), pixels=64, size=len, quality=lambda _: 0.0)
        assert len(found) <= limit
        assert len(trials) <= MAX_TRIALS + 1
