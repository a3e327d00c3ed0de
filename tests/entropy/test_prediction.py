"""Laws of predicted samples: a tile comes back exactly, by itself, the same on every machine; damage is named."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from laconic import _native
from laconic.coder import rans
from laconic.entropy import prediction
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

KINDS = [*product((1, 2, 3, 4), (8, 16))]


def coded(pixels: NDArray[Any], tile: tuple[int, int, int, int] | None = None) -> bytes:
    return rans.push(prediction.tables(pixels, tile or (0, 0, *pixels.shape[:2])))


def popped(stream: bytes, like: NDArray[Any]) -> NDArray[Any]:
    pixels = np.full_like(like, 77)
    prediction.pop(pixels, (0, 0, *like.shape[:2]), stream)
    return pixels


@pytest.mark.parametrize(("channels", "depth"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 3), (17, 64), (64, 65)])
def test_a_tile_comes_back(size: tuple[int, int], channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    pixels = variants(*size, channels, depth)
    before = pixels.copy()
    stream = coded(pixels)
    assert stream
    assert np.array_equal(popped(stream, pixels), before)
    assert np.array_equal(pixels, before)


@settings(max_examples=80)
@given(st.data())
def test_any_samples_come_back(data: st.DataObject):
    shape = (data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24)), data.draw(st.integers(1, 4)))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    most = int(np.iinfo(dtype).max)
    samples = data.draw(st.sampled_from([st.sampled_from([0, 1, most]), st.integers(0, most)]))
    pixels = data.draw(arrays(dtype, shape, elements=samples, fill=samples))
    assert np.array_equal(popped(coded(pixels), pixels), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flat_pictures_take_next_to_nothing_and_noise_little_more_than_itself(dtype: Any):
    most = int(np.iinfo(dtype).max)
    for value in (0, 1, most // 2, most):
        flat = np.full((200, 200, 3), value, dtype)
        stream = coded(flat)
        assert len(stream) < 400
        assert np.array_equal(popped(stream, flat), flat)
    noise = np.random.default_rng(1).integers(0, most + 1, (100, 100, 3)).astype(dtype)
    stream = coded(noise)
    assert noise.nbytes * 0.99 < len(stream) < noise.nbytes * 1.1
    assert np.array_equal(popped(stream, noise), noise)


def test_a_tile_knows_its_own_window_only(variants: Callable[..., NDArray[Any]]):
    pixels = variants(100, 90, 3, 8)
    window = (20, 30, 40, 50)
    alone = np.ascontiguousarray(pixels[20:60, 30:80])
    stream = coded(pixels, window)
    assert stream == coded(alone)
    target = np.full_like(pixels, 5)
    prediction.pop(target, window, memoryview(stream))
    assert np.array_equal(target[20:60, 30:80], alone)
    target[20:60, 30:80] = 5
    assert (target == 5).all()


@pytest.mark.parametrize(("channels", "depth"), KINDS)
def test_bytes_and_pixels_are_the_same_on_every_instruction_set(
    channels: int, depth: int, variants: Callable[..., NDArray[Any]]
):
    pixels = variants(70, 99, channels, depth)
    before = _native.instruction_set()
    found: set[bytes] = set()
    for name in _native.instruction_sets():
        _native.use_instruction_set(name)
        stream = coded(pixels)
        found.add(stream)
        assert np.array_equal(popped(stream, pixels), pixels), name
    _native.use_instruction_set(before)
    assert len(found) == 1


def test_damage_is_named_with_the_tile(variants: Callable[..., NDArray[Any]]):
    pixels = variants(40, 50, 3, 8)
    stream = coded(pixels)
    for bad, words in (
        (b"", "start states"),
        (stream[:6], "start states"),
        (b"\0" * 4 + stream[4:], "start states"),
        (stream + b"\0", "start states"),
        (stream[:-2], "words"),
        (stream[: len(stream) // 4 * 2], "words"),
        (stream + b"\0\0", "end states"),
    ):
        with pytest.raises(CorruptStream, match=f"{words} of tile 7"):
            prediction.pop(np.zeros_like(pixels), (0, 0, 40, 50), bad, 7)


@settings(max_examples=60)
@given(st.binary(max_size=60))
def test_any_bytes_are_samples_or_a_named_error(stream: bytes):
    like = np.zeros((9, 11, 3), np.uint8)
    try:
        pixels = popped(stream, like)
    except CorruptStream:
        return
    assert pixels.shape == like.shape
