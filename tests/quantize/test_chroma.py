"""Laws of the prediction of chroma from luma: the fast program and the readable one agree on any picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laconic as lac
from laconic.codecs import image_reference
from laconic.codecs.image import Analysis, ImageCodec
from laconic.models import default_model
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

if not default_model().predicts_chroma:
    pytest.skip("the model's files hold chroma itself", allow_module_level=True)


def colored(rng: np.random.Generator, height: int, width: int, *, deep: bool = False) -> np.ndarray:
    """Return a picture whose chroma follows its luma by one slope on the left and by another on the right."""
    coarse = rng.random((-(-height // 8), -(-width // 8)))
    light = np.kron(coarse, np.ones((8, 8)))[:height, :width] + 0.1 * rng.random((height, width))
    tint = np.where(np.arange(width) < width // 2, 0.8, -0.5)
    rgb = np.stack([light * (1 + 0.4 * tint), light, light * (1 - 0.4 * tint)], -1)
    return (rgb / rgb.max() * (65535 if deep else 255)).astype(np.uint16 if deep else np.uint8)


pictures = st.builds(
    lambda seed, height, width, deep: colored(np.random.default_rng(seed), height, width, deep=deep),
    st.integers(0, 1 << 16), st.integers(1, 90), st.integers(1, 90), st.booleans(),
)  # fmt: skip


@settings(max_examples=12)
@given(pictures, st.sampled_from([0, 30, 75, 97]), st.sampled_from([1, 3, 5]))
def test_the_readable_decoder_agrees(picture: np.ndarray, quality: int, effort: int):
    data = ImageCodec(quality=quality, effort=effort, tile=64, network="off").encode(picture)
    np.testing.assert_array_equal(image_reference.decode(data).pixels, lac.decompress(data))


@settings(max_examples=10)
@given(pictures, st.sampled_from([20, 80]))
def test_every_instruction_set_gives_the_same_bytes(
    files_of_all_sets: Callable[[np.ndarray, int, str], set[tuple[bytes, bytes]]], picture: np.ndarray, quality: int
):
    assert len(files_of_all_sets(picture, quality, "psnr")) == 1


def test_it_saves_bytes_where_chroma_follows_luma_and_none_where_it_does_not():
    rng = np.random.default_rng(0)
    for picture, least in ((colored(rng, 256, 256), 0.1), (rng.integers(0, 255, (128, 128, 3), np.uint8), -0.01)):
        codec = ImageCodec(quality=80, effort=3)
        with Workers(1) as workers:
            analysis = Analysis.of(picture, lossless=False, workers=workers)
            header = codec.header_at(analysis, int(analysis.model.quality_codes[80]))
            sizes = [
                sum(
                    len(s) for group in codec.code_tiles(analysis, header, workers, predicts_chroma=p)[0] for s in group
                )
                for p in (False, True)
            ]
        assert sizes[1] <= sizes[0] * (1 - least)


def test_errors_do_not_add_up():
    picture = colored(np.random.default_rng(1), 200, 160)
    restored = lac.decompress(lac.compress(picture, quality=97, network="off"))
    assert np.abs(restored.astype(int) - picture).max() < 12


def test_latents_are_of_the_picture_itself():
    picture = colored(np.random.default_rng(2), 128, 128)
    latents = ImageCodec(quality=75).latents(picture)
    with Workers(1) as workers:
        planes = Analysis.of(picture, lossless=False, workers=workers).planes
    steps = latents.steps[:, -1] / 256
    fine = np.s_[64:, 64:]
    for plane in range(3):
        error = latents.symbols[plane][fine] * steps[plane] - planes[plane][fine]
        assert np.abs(error).max() < 1.5 * steps[plane]
