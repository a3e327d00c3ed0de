"""The filter that a picture brings along: found where it helps, and seen by every way to decode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import laconic as lac
from laconic import _native
from laconic.codecs import image_reference, stream
from laconic.codecs.filter_fit import fit_filter
from laconic.codecs.targets import bytes_of_a_decibel, psnr
from laconic.container import Container, read, write
from laconic.models import default_model
from laconic.quantize.steps import base_step_units
from laconic.signals.image import load
from laconic.transform import color, network_reference
from laconic.transform.picture_filter import TAPS, Filter
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def with_filter(data: bytes, own: Filter | None) -> bytes:
    """The same file with another filter."""
    found = read(data)
    return write(
        found.header.with_filter(own),
        [[bytes(s) for s in group if s is not None] for group in found.segments],
        found.metadata,
    )


def any_filter(seed: int, planes: int) -> Filter:
    rng = np.random.default_rng(seed)
    taps = tuple(tuple(int(tap) for tap in rng.integers(-9, 10, count)) for count in TAPS[:planes])
    return Filter(6, taps)


@pytest.fixture(scope="module")
def sharp() -> NDArray[np.uint8]:
    """Much of a photo."""
    return np.ascontiguousarray(load(Path(__file__).parents[2] / "examples" / "tea-garden.jpg").pixels[:384, :512])


@pytest.mark.parametrize("quality", [60, 75, 92])
def test_a_photo_has_one_that_is_worth_its_bytes(quality: int, sharp: NDArray[np.uint8]):
    data = lac.compress(sharp, quality=quality)
    assert lac.inspect(data).filter_taps > 0
    without = with_filter(data, None)
    gained = psnr(sharp, lac.decompress(data)) - psnr(sharp, lac.decompress(without))
    assert gained > 0.01
    worth = bytes_of_a_decibel(read(data).header.step_code) * gained * len(data)
    assert len(data) - len(without) < worth


@pytest.mark.parametrize("asked", [{"effort": 6}, {"network": "off"}, {"tune": "ssim"}, {"lossless": True}], ids=str)
def test_files_that_are_not_searched_have_none(asked: dict[str, Any], sharp: NDArray[np.uint8]):
    assert lac.inspect(lac.compress(sharp[:96, :96], **asked)).filter_taps == 0


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (2, 8), (3, 8), (4, 8), (3, 16), (1, 16)])
def test_every_way_to_decode_sees_it(channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    pixels = variants(77, 90, channels, depth)
    plain = with_filter(lac.ImageCodec(quality=60, effort=6, tile=64, network="fast").encode(pixels), None)
    own = any_filter(channels, 3 if channels >= 3 else 1)
    data = with_filter(plain, own)
    whole = lac.decompress(data)
    assert not np.array_equal(whole, lac.decompress(plain))
    assert np.array_equal(image_reference.decode(data).pixels.reshape(whole.shape), whole)
    for region in [(0, 0, 90, 77), (3, 5, 1, 1), (61, 62, 9, 8), (40, 0, 50, 30), (89, 76, 1, 1)]:
        x, y, width, height = region
        found = lac.decompress(data, region=region, jobs=2)
        assert np.array_equal(found, whole[y : y + height, x : x + width]), region
    with Workers(2) as workers:
        rows = list(stream.Decoding.of(read(data)).rows(workers))
    assert np.array_equal(np.concatenate(rows).reshape(whole.shape), whole)
    assert np.array_equal(lac.decompress(data, network="fast"), whole)


@pytest.mark.parametrize("lines", [4, 12, 28])
def test_rows_that_pass_by_leave_no_seams(
    lines: int, variants: Callable[..., NDArray[Any]], monkeypatch: pytest.MonkeyPatch
):
    data = lac.ImageCodec(quality=60, effort=5, tile=64).encode(variants(140, 70, 3, 8))
    data = with_filter(data, any_filter(3, 3))
    whole = lac.decompress(data)
    monkeypatch.setattr(stream, "_network_rows", lambda _: lines)
    with Workers(1) as workers:
        assert np.array_equal(np.concatenate(list(stream.Decoding.of(read(data)).rows(workers))), whole)


def test_it_is_for_the_network_of_the_file_alone(variants: Callable[..., NDArray[Any]]):
    plain = lac.compress(variants(60, 70, 3, 8), quality=60, effort=6)
    data = with_filter(plain, any_filter(2, 3))
    for network in ("off", "fast"):
        assert np.array_equal(lac.decompress(data, network=network), lac.decompress(plain, network=network))
    assert np.array_equal(lac.decompress(data, scale=1), lac.decompress(plain, scale=1))
    assert not np.array_equal(lac.decompress(data), lac.decompress(plain))


def restored(found: Container, planes: NDArray[Any], own: Filter) -> NDArray[Any]:
    """What planes become through the network and a filter."""
    network = default_model().networks["best"]
    header = found.header
    step = base_step_units(header.step_code, depth=header.depth)
    corrected = network_reference.correct(planes, network, code=header.step_code, step=step, own=own)
    with Workers(1) as workers:
        return color.synthesize(corrected, lossless=False, workers=workers)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_filter_that_made_a_picture_is_found(
    channels: int, sharp: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
):
    pixels = np.ascontiguousarray(sharp[100:228, 100:260, :channels])
    found = read(lac.compress(pixels, quality=50, effort=6))
    count = 3 if channels >= 3 else 1
    own = Filter(6, tuple(tuple(int(k in (0, 3, 9)) * (5 - 2 * p - k) for k in range(TAPS[p])) for p in range(count)))
    with Workers(1) as workers:
        planes = color.analyze(pixels, lossless=False, workers=workers)
        made = restored(found, planes, own)
        monkeypatch.setattr("laconic.codecs.filter_fit.bytes_of_a_decibel", lambda _: 1e3)  # bits cost nothing
        again = fit_filter(planes, made, found.header, default_model().networks["best"], 1000, workers)
    assert again is not None
    for taps, expected in zip(again.taps, own.taps, strict=True):
        assert np.allclose(np.array(taps) / 2**again.shift, np.array(expected) / 2**own.shift, atol=0.02)


def test_a_large_picture_is_looked_at_in_windows(sharp: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    whole = lac.compress(sharp, quality=60)
    monkeypatch.setattr("laconic.codecs.filter_fit.WHOLE_PIXELS", 1000)
    monkeypatch.setattr("laconic.codecs.filter_fit.WINDOW", (64, 96))
    data = lac.compress(sharp, quality=60)
    assert read(data).segments == read(whole).segments
    assert read(data).header.filter not in (None, read(whole).header.filter)
    none = psnr(sharp, lac.decompress(with_filter(data, None)))
    gained = psnr(sharp, lac.decompress(data)) - none
    assert gained > 0.7 * (psnr(sharp, lac.decompress(whole)) - none)


def test_an_empty_picture_needs_none():
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert lac.inspect(lac.compress(flat, quality=60)).filter_taps == 0
    assert lac.inspect(lac.compress(flat[:5, :5], quality=60)).filter_taps == 0


def features_of(parts: NDArray[np.int64], plane: int) -> list[NDArray[np.int64]]:
    """What `spec/network.md`, section 4, lists, three samples from the edges, then what is missing."""
    near = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)]
    far = [(0, 3), (3, 0), (1, 2), (2, 1), (1, -2), (2, -1)]
    decoded, found, missing = parts
    seen = [found[plane]]
    seen += [network_reference.pair(found[plane], *place) for place in near]
    seen += [network_reference.pair(decoded[plane], *place) for place in near + far]
    if plane > 0:
        seen += [found[0], *(network_reference.pair(decoded[0], *place) for place in near)]
    return [np.clip(feature[3:-3, 3:-3], -4095, 4095).ravel() for feature in [*seen, missing[plane]]]


@pytest.mark.parametrize("name", _native.instruction_sets())
@pytest.mark.parametrize("shape", [(1, 7, 7), (3, 9, 140), (3, 20, 300)])
def test_sums_are_those_of_the_definition(name: str, shape: tuple[int, int, int]):
    before = _native.instruction_set()
    for largest in (200, 70_000):
        parts = np.random.default_rng(largest).integers(-largest, largest, (3, *shape), np.int32)
        sums = np.zeros((shape[0], 27, 27), np.int64)
        _native.use_instruction_set(name)
        for top in range(3, shape[1] - 3, 4):
            _native.sum_filter(parts, top, min(top + 4, shape[1] - 3), sums)
        _native.use_instruction_set(before)
        for plane in range(shape[0]):
            seen = np.array(features_of(parts.astype(np.int64), plane))
            places = [*range(len(seen) - 1), 26]
            assert np.array_equal(np.tril(sums[plane])[np.ix_(places, places)], np.tril(seen @ seen.T))


def test_sums_beyond_the_edges_are_refused():
    parts, sums = np.zeros((3, 1, 20, 20), np.int32), np.zeros((1, 27, 27), np.int64)
    for rows in ((2, 10), (3, 18), (9, 8)):
        with pytest.raises(ValueError, match="edge"):
            _native.sum_filter(parts, *rows, sums)
