"""The laws of the whole codec, with the shipped model, for any picture, machine and number of threads."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import laconic as lac
from laconic import _native
from laconic.codecs import image, image_reference
from laconic.codecs.targets import psnr
from laconic.container import read
from laconic.entropy import causal
from laconic.quantize.uniform import dequantize
from laconic.signals.image import load
from laconic.transform.color_choice import choose
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

KINDS = list(product((1, 2, 3, 4), (8, 16)))


def ideal_bits(codec: lac.ImageCodec, pixels: NDArray[Any]) -> tuple[float, int]:
    """Return the code length of all operations in bits, and the number of streams that are not empty."""
    with Workers(1) as workers:
        colors = choose([pixels]) if codec.lossless else 0
        analysis = image.Analysis.of(pixels, lossless=codec.lossless, workers=workers, colors=colors)
        code = 0 if codec.lossless else int(analysis.model.quality_codes[codec.quality])
        header = codec.header_at(analysis, code)
        coding = image.tile_coding(header, analysis.model, image.rdo.for_effort(codec.effort))
        grid = image.TileGrid.of(header)
        ops = [
            group
            for tile in range(grid.count)
            for group in causal.tables(analysis.planes, image.pixel_window(grid, tile), coding)
        ]
    return float(sum(np.sum(14 - np.log2(group >> 16)) for group in ops)), sum(len(group) > 0 for group in ops)


@pytest.mark.parametrize(("channels", "depth"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (70, 1), (33, 47), (100, 130)])
def test_lossless_is_exact_for_every_kind_of_picture(
    channels: int, depth: int, size: tuple[int, int], variants: Callable[..., NDArray[Any]]
):
    pixels = variants(*size, channels, depth)
    for effort in (6, 7):
        back = lac.decompress(lac.compress(pixels, lossless=True, effort=effort))
        assert back.dtype == pixels.dtype
        assert back.shape == (pixels.shape if channels > 1 else pixels.shape[:2])
        assert np.array_equal(back.reshape(pixels.shape), pixels)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_lossless_is_exact_for_pictures_nobody_took(data: st.DataObject):
    shape = (data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)), data.draw(st.integers(1, 4)))
    dtype = data.draw(st.sampled_from([np.uint8, np.uint16]))
    extreme = st.sampled_from([0, 1, int(np.iinfo(dtype).max)])
    pixels = data.draw(arrays(dtype, shape, elements=extreme, fill=extreme))
    codec = lac.ImageCodec(lossless=True, effort=data.draw(st.sampled_from([6, 7])), tile=64, jobs=1)
    assert np.array_equal(codec.decode(codec.encode(pixels)).reshape(shape), pixels)


@pytest.mark.parametrize(("channels", "depth"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (70, 1), (100, 130)])
def test_lossy_keeps_shape_type_and_alpha(
    channels: int, depth: int, size: tuple[int, int], variants: Callable[..., NDArray[Any]]
):
    pixels = variants(*size, channels, depth)
    for quality in (0, 40, 100):
        back = lac.decompress(lac.compress(pixels, quality=quality)).reshape(pixels.shape)
        assert back.dtype == pixels.dtype
        if channels in (2, 4):
            assert np.array_equal(back[:, :, -1], pixels[:, :, -1])
        if quality == 100:
            assert psnr(pixels, back) > 40


def test_sixteen_bits_are_not_eight(variants: Callable[..., NDArray[Any]]):
    """The finest step of a 16-bit picture resolves more than 8 bits could hold."""
    pixels = variants(64, 64, 3, 16)
    best = lac.decompress(lac.ImageCodec(psnr=60).encode(pixels))
    assert psnr(pixels, best) >= 60
    assert len(np.unique(best)) > 256


@pytest.mark.parametrize(
    "asked", [{"quality": 30, "effort": 3}, {"quality": 80, "effort": 1}, {"lossless": True, "effort": 6}], ids=str
)
def test_decoding_gives_exactly_the_dequantized_latents(asked: dict[str, Any], variants: Callable[..., NDArray[Any]]):
    """decode(encode(x)) equals dequantize(quantize(x)), to the last integer, and nothing else decides a pixel.

    Of color only without loss: what luma foretells of chroma has laws of its own, in quantize/test_chroma.py.
    """
    channels = 4 if "lossless" in asked else 2
    pixels = variants(130, 66, channels, 8)  # too narrow for a choice of colors: latents are always in the first
    codec = lac.ImageCodec(tile=64, **asked)
    latents = codec.latents(pixels)
    data = codec.encode(pixels)
    decoded = image_reference.decode(data)
    assert np.array_equal(decoded.symbols, latents.symbols)

    container = read(data)
    planes = np.zeros(latents.symbols.shape, np.int16)
    header = container.header
    coding = image.tile_coding(header, image.default_model())
    grid = image.TileGrid.of(header)
    for tile in range(grid.count):
        streams = [group[tile] for group in container.segments]
        causal.pop_tile(planes, image.pixel_window(grid, tile), coding, streams, tile)
    assert np.array_equal(decoded.coefficients, planes)
    assert np.array_equal(decoded.pixels, lac.decompress(data))

    # Without the reconstruction offsets of the model the same holds to within an offset of a step.
    for plane, level, orientation in product(range(channels), range(1, 7), range(3)):
        band = 1 + 3 * (6 - level) + orientation
        step = int(latents.steps[plane, band])
        symbols = latents.band(level, orientation)[plane]
        found = lac.Latents(planes, latents.steps).band(level, orientation)[plane]
        low, high = dequantize(symbols, step, 63), dequantize(symbols, step, -63)
        assert np.all(np.minimum(low, high) <= found)
        assert np.all(found <= np.maximum(low, high))


@pytest.mark.parametrize("asked", [{"quality": 30}, {"quality": 85}, {"lossless": True}], ids=str)
def test_real_bytes_are_the_ideal_code_length_and_little_more(asked: dict[str, Any], photo: NDArray[np.uint8]):
    codec = lac.ImageCodec(effort=6, **asked)
    bits, streams = ideal_bits(codec, photo)
    real = 8 * len(codec.encode(photo))
    # A coder's own loss is far below a percent; streams cost 4 bytes of unused state each and their frames, the header
    # 24 bytes; and a stream is whole words.
    assert bits <= real <= 1.01 * bits + 8 * (24 + 18 * streams)


def test_bytes_and_pixels_are_the_same_for_any_number_of_threads(photo: NDArray[np.uint8]):
    for asked in ({"quality": 50}, {"lossless": True}, {"lossless": True, "effort": 6}):
        files = {lac.ImageCodec(tile=64, jobs=jobs, **asked).encode(photo) for jobs in (1, 2, 3, 8, None)}
        assert len(files) == 1
        [data] = files
        pictures = {lac.decompress(data, jobs=jobs).tobytes() for jobs in (1, 2, 5, None)}
        assert len(pictures) == 1


def test_bytes_and_pixels_are_the_same_on_every_instruction_set(variants: Callable[..., NDArray[Any]]):
    before = _native.instruction_set()
    files: list[list[bytes]] = []
    for name in _native.instruction_sets():
        _native.use_instruction_set(name)
        found: list[bytes] = []
        for channels, depth in KINDS:
            pixels = variants(77, 131, channels, depth)
            lossy = ({"quality": 20}, {"quality": 90}, {"quality": 60, "effort": 1})
            for asked in (*lossy, {"lossless": True}, {"lossless": True, "effort": 6}):
                data = lac.ImageCodec(tile=64, **asked).encode(pixels)
                found += [data, lac.decompress(data).tobytes()]
        files.append(found)
    _native.use_instruction_set(before)
    assert all(found == files[0] for found in files)


def test_a_higher_quality_costs_bytes_and_brings_decibels(photo: NDArray[np.uint8]):
    qualities = range(0, 101, 5)
    files = [lac.compress(photo, quality=quality) for quality in qualities]
    decibels = [psnr(photo, lac.decompress(data)) for data in files]
    assert [len(data) for data in files] == sorted(len(data) for data in files)
    assert decibels == sorted(decibels)
    assert len({len(data) for data in files}) == len(files)


@pytest.mark.parametrize("name", ["hallway", "kitten", "tea-garden"])
@pytest.mark.parametrize(
    ("efforts", "size", "qualities"), [((1, 3, 5, 6), 384, range(30, 90, 11)), ((6, 7, 8, 9), 176, (30, 45, 60))]
)
def test_more_effort_is_a_better_bargain(name: str, efforts: tuple[int, ...], size: int, qualities: Iterable[int]):
    """At the same PSNR, each effort needs no more bytes than the one below it, on every photo."""
    pixels = load(Path(__file__).parents[1] / "examples" / f"{name}.jpg").pixels[:size, :size]
    sizes: list[float] = []
    middle = 0.0
    for effort in efforts:
        found: list[tuple[float, int]] = []
        for quality in qualities:
            data = lac.ImageCodec(quality=quality, effort=effort).encode(pixels)
            found.append((psnr(pixels, lac.decompress(data)), len(data)))
        decibels, lengths = zip(*found, strict=True)
        middle = middle or decibels[len(decibels) // 2]
        sizes.append(float(np.interp(middle, decibels, np.log(lengths))))
    assert sizes == sorted(sizes, reverse=True)


def test_a_configuration_is_its_repr_and_can_be_pickled(photo: NDArray[np.uint8]):
    for codec in (
        lac.ImageCodec(),
        lac.ImageCodec(quality=30, effort=2, jobs=1, tile=128),
        lac.ImageCodec(bpp=0.5),
        lac.ImageCodec(lossless=True),
    ):
        assert eval(repr(codec), {"ImageCodec": lac.ImageCodec}) == codec
        again = pickle.loads(pickle.dumps(codec))
        assert again == codec
        assert hash(again) == hash(codec)
        assert again.encode(photo[:40, :40]) == codec.encode(photo[:40, :40])


def test_many_threads_may_use_one_codec_at_once(photo: NDArray[np.uint8]):
    codec = lac.ImageCodec(quality=60, tile=64, jobs=2)
    expected = codec.encode(photo)
    pixels = codec.decode(expected)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(codec.encode, [photo] * 16)) == {expected}
        assert all(np.array_equal(found, pixels) for found in pool.map(codec.decode, [expected] * 16))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_made_by_fork_or_spawn_give_the_same_bytes(method: str, photo: NDArray[np.uint8]):
    codec = lac.ImageCodec(quality=60, tile=64)
    expected = codec.encode(photo)  # threads and the model are in use before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(codec.encode, [photo] * 2) == [expected] * 2


def test_inputs_are_left_as_they_were(photo: NDArray[np.uint8]):
    copy = photo.copy()  # `photo` itself cannot be written to
    for view in (copy[::2, ::3], copy[:, ::-1], np.asfortranarray(copy), copy.transpose(1, 0, 2)):
        before = view.copy()
        assert np.array_equal(lac.decompress(lac.compress(view, lossless=True)), before)
        assert np.array_equal(view, before)
    big_endian = photo.astype(">u2")
    assert np.array_equal(lac.decompress(lac.compress(big_endian, lossless=True)), photo)
