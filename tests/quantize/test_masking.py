"""Laws of masking: both programs agree on any picture, and errors go where there is contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laconic as lac
from laconic.codecs import image_reference
from laconic.codecs.image import ImageCodec
from laconic.entropy.tables import ParameterSet
from laconic.errors import ModelError
from laconic.models import PHOTO, default_model
from laconic.quantize.masking_reference import contrast, smooth
from laconic.train.modelfile import read_model

if TYPE_CHECKING:
    from collections.abc import Callable


def half_busy(rng: np.random.Generator, height: int, width: int, channels: int, *, deep: bool = False) -> np.ndarray:
    """Return a picture with a slope on the left and strong texture on the right, equally noisy."""
    slope = np.linspace(60, 90, max(width, 1))[None] + np.zeros((height, 1))
    texture = 60 * rng.standard_normal((-(-height // 4), -(-width // 4)))
    texture = np.kron(texture, np.ones((4, 4)))[:height, :width] * (np.arange(width) >= width // 2)
    gray = slope + texture + 3 * rng.standard_normal((height, width))
    picture = np.stack([gray * (1 - 0.1 * c) for c in range(channels)], -1)
    return (np.clip(picture, 0, 255) * (257 if deep else 1)).astype(np.uint16 if deep else np.uint8)


pictures = st.builds(
    lambda seed, height, width, channels, deep: half_busy(
        np.random.default_rng(seed), height, width, channels, deep=deep
    ),
    st.integers(0, 1 << 16), st.integers(1, 100), st.integers(1, 100), st.integers(1, 4), st.booleans(),
)  # fmt: skip


def test_the_model_masks_for_ssim_alone():
    model = default_model()
    kinds = {model.kind_of(number) for number, of in enumerate(model.lossy) if of.masks}
    assert kinds == {"ssim"}


@settings(max_examples=20)
@given(pictures, st.sampled_from([0, 30, 75, 97]))
def test_the_readable_decoder_agrees(picture: np.ndarray, quality: int):
    data = ImageCodec(quality=quality, tune="ssim", tile=64, network="off").encode(picture)
    decoded = image_reference.decode(data).pixels
    np.testing.assert_array_equal(decoded.reshape(picture.shape), lac.decompress(data).reshape(picture.shape))


@settings(max_examples=10)
@given(pictures, st.sampled_from([20, 80]))
def test_every_instruction_set_gives_the_same_bytes(
    files_of_all_sets: Callable[[np.ndarray, int, str], set[tuple[bytes, bytes]]], picture: np.ndarray, quality: int
):
    assert len(files_of_all_sets(picture, quality, "ssim")) == 1


def test_errors_go_where_there_is_contrast():
    picture = half_busy(np.random.default_rng(3), 256, 256, 3)
    quiet, busy = np.s_[:, :112], np.s_[:, 144:]

    def errors(tune: str) -> tuple[float, float]:
        restored = lac.decompress(lac.compress(picture, quality=60, tune=tune, network="off"))
        error = (restored.astype(float) - picture) ** 2
        return error[quiet].mean(), error[busy].mean()

    for_psnr, for_ssim = errors("psnr"), errors("ssim")
    assert for_ssim[1] / for_ssim[0] > 2 * for_psnr[1] / for_psnr[0]


def test_regions_and_scales_are_those_of_the_whole():
    picture = half_busy(np.random.default_rng(4), 300, 260, 3)
    data = ImageCodec(quality=50, tune="ssim", tile=64).encode(picture)
    whole = lac.decompress(data)
    np.testing.assert_array_equal(lac.decompress(data, region=(70, 90, 101, 60)), whole[90:150, 70:171])
    assert lac.decompress(data, scale=2).shape == (75, 65, 3)


@given(st.integers(1, 1 << 32))
def test_contrast_has_four_parts_an_octave(energy: int):
    found = int(contrast(np.array([energy]))[0])
    assert found == min(int(np.floor(4 * np.log2(energy * (1 + 1e-12)))), 95) or energy < 2**24
    assert found <= int(contrast(np.array([2 * energy]))[0]) <= found + 4


def test_smoothing_keeps_what_is_flat():
    np.testing.assert_array_equal(smooth(np.full((5, 7), 64)), np.full((5, 7), 64))


@pytest.mark.parametrize(("name", "factor"), [("ssim2", 255), ("ssim2", 4097), ("lossy2", 300)])
def test_factors_out_of_range_and_masks_without_a_trellis_are_refused(name: str, factor: int):
    arrays = read_model(PHOTO)
    arrays[f"{name}.mask"] = np.full((3, 5, 96), 256, np.uint16)
    arrays[f"{name}.mask"][1, 2, 7] = factor
    with pytest.raises(ModelError, match="mask"):
        _ = ParameterSet.of(arrays, f"{name}.").native
