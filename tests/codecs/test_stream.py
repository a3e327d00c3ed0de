"""A picture that passes by in rows gives the very bytes of the whole one, and its file the very pixels."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laconic as lac
from laconic.codecs import image, stream
from laconic.container import Metadata, read, write
from laconic.errors import CorruptStream, LimitExceeded, TargetUnreachable, UsageError
from laconic.signals.rows import AbstractRowReader, RowSource
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from laconic.models import ImageModel

KINDS = [*product((1, 2, 3, 4), (8, 16), (False, True))]


class ArrayRows(AbstractRowReader):
    def __init__(self, pixels: NDArray[Any]) -> None:
        self.pixels, self.row = pixels, 0

    def read(self, count: int) -> NDArray[Any]:
        assert self.row + count <= len(self.pixels)
        self.row += count
        return self.pixels[self.row - count : self.row]

    def close(self) -> None:
        self.row = -1


def source_of(pixels: NDArray[Any]) -> RowSource:
    return RowSource(*pixels.shape, pixels.dtype.type, lambda: ArrayRows(pixels))


def streamed(codec: lac.ImageCodec, pixels: NDArray[Any], metadata: Metadata | None = None) -> bytes:
    sink = io.BytesIO()
    with stream.encode_rows(codec, source_of(pixels), metadata) as spool:
        chunks = spool.write(sink)
        assert spool.size == len(sink.getvalue())
    assert chunks[-1].offset + chunks[-1].size == spool.size
    return sink.getvalue()


def decoded(data: bytes, jobs: int = 1, **choices: Any) -> NDArray[Any]:
    with Workers(jobs) as workers:
        return np.concatenate(list(workers.ahead(stream.Decoding.of(read(data), **choices).rows(workers))))


@pytest.fixture
def tall(photo: NDArray[np.uint8]) -> Callable[..., NDArray[Any]]:
    """Return (height, width, channels, depth) -> texture of any height."""

    def cut(height: int, width: int, channels: int, depth: int) -> NDArray[Any]:
        planes = np.concatenate([photo, photo[::-1, :, ::-1]] * (height // 288 + 1))[:height, :width]
        alpha = 255 - planes[:, ::-1, 1:2]
        color = planes if channels >= 3 else planes[:, :, 1:2]
        pixels = np.concatenate([color, alpha], axis=2) if channels in (2, 4) else color
        if depth == 16:
            rows, columns = np.indices((height, width))
            pixels = pixels.astype(np.uint16) * 257 ^ ((rows * 37 + columns * 11) % 64)[:, :, None].astype(np.uint16)
        return np.ascontiguousarray(pixels)

    return cut


@pytest.mark.parametrize(("channels", "depth", "lossless"), KINDS)
def test_bytes_and_pixels_are_those_of_the_whole_picture(
    channels: int, depth: int, lossless: bool, tall: Callable[..., NDArray[Any]], monkeypatch: pytest.MonkeyPatch
):
    for size, tile, strip in (
        ((1, 1), 64, 1),
        ((333, 77), 64, 1000),
        ((651, 129), 128, 129 * 100),
        ((200, 65), 192, 1),
    ):
        pixels = tall(*size, channels, depth)
        monkeypatch.setattr(stream, "STRIP", strip)
        jobs = 1 + size[0] % 2
        codec = lac.ImageCodec(quality=None if lossless else 60, lossless=lossless, effort=6, tile=tile, jobs=jobs)
        data = codec.encode(pixels, icc=b"profile", xmp=b"<x/>")
        assert streamed(codec, pixels, Metadata(icc=b"profile", xmp=b"<x/>")) == data
        whole = lac.decompress(data).reshape(pixels.shape)
        for jobs in (1, 2):
            rows = decoded(data, jobs)
            assert rows.dtype == whole.dtype
            assert np.array_equal(rows, whole)


@settings(max_examples=40)
@given(st.integers(1, 500), st.integers(1, 150), st.integers(1, 40), st.sampled_from([64, 128]), st.booleans())
def test_any_size_in_strips_of_any_height(height: int, width: int, rows: int, tile: int, lossless: bool):
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    pixels[: height // 2] //= 16
    quality = None if lossless else 50
    codec = lac.ImageCodec(quality=quality, lossless=lossless, effort=6, tile=tile, jobs=1, network="off")
    data = codec.encode(pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STRIP", rows * width)
        assert streamed(codec, pixels) == data
    assert np.array_equal(decoded(data), lac.decompress(data))


@pytest.mark.parametrize("target", [{"bpp": 1.0}, {"size": 9000}, {"psnr": 34.0}, {"quality": 20, "effort": 1}])
def test_every_target_gives_the_same_file(target: dict[str, Any], tall: Callable[..., NDArray[Any]]):
    pixels = tall(300, 190, 3, 8)
    codec = lac.ImageCodec(**{"effort": 6, **target}, tile=128)
    assert streamed(codec, pixels) == codec.encode(pixels)


def test_a_target_out_of_reach_is_named(tall: Callable[..., NDArray[Any]]):
    for target in ({"size": 10}, {"psnr": 90.0}):
        with pytest.raises(TargetUnreachable):
            streamed(lac.ImageCodec(effort=6, **target), tall(100, 100, 3, 8))


@pytest.mark.parametrize(("channels", "depth", "height"), [(1, 8, 641), (3, 8, 999), (4, 8, 130), (3, 16, 257)])
def test_rows_go_through_the_network_too(
    channels: int,
    depth: int,
    height: int,
    networked: ImageModel,
    tall: Callable[..., NDArray[Any]],
    monkeypatch: pytest.MonkeyPatch,
):
    assert networked.networks
    pixels = tall(height, 150, channels, depth)
    codec = lac.ImageCodec(quality=30, tile=64)
    data = codec.encode(pixels)
    whole = lac.decompress(data).reshape(pixels.shape)
    for rows in (1, 50, 512):
        monkeypatch.setattr(stream, "NETWORK_PIXELS", rows * 150)
        assert np.array_equal(decoded(data, 2), whole)
    assert not np.array_equal(decoded(data, network="off"), whole)
    psnr = lac.ImageCodec(psnr=30, effort=6, tile=64)
    assert streamed(psnr, pixels) == psnr.encode(pixels)


def test_damage_is_named_or_left_out(tall: Callable[..., NDArray[Any]]):
    pixels = tall(300, 150, 3, 8)
    data = lac.ImageCodec(quality=60, tile=64).encode(pixels)
    container = read(data)
    streams = [[bytes(part or b"") for part in group] for group in container.segments]
    streams[-1][4] = b"\xff" * 9
    bad = write(container.header, streams)
    with pytest.raises(CorruptStream):
        decoded(bad)
    with Workers(2) as workers:
        decoding = stream.Decoding.of(read(bad, allow_partial=True), allow_partial=True)
        rows = np.concatenate(list(decoding.rows(workers)))
    restored = lac.restore(bad, allow_partial=True)
    assert np.array_equal(rows, restored.pixels)
    assert tuple(decoding.damaged) == restored.missing != ()
    cut = data[: len(data) // 2]
    with Workers(1) as workers:
        decoding = stream.Decoding.of(read(cut, allow_partial=True), allow_partial=True)
        rows = np.concatenate(list(decoding.rows(workers)))
    restored = lac.restore(cut, allow_partial=True)
    assert np.array_equal(rows, restored.pixels)
    assert tuple(decoding.damaged) == restored.missing != ()


def test_absurd_sizes_are_refused_before_memory_is_taken():
    data = lac.ImageCodec(quality=10).encode(np.zeros((64, 64), np.uint8))
    header = read(data).header
    many = write(replace(header, width=65_535, height=32_767, tile=16_320, cuts=0), [[b""] * 15])
    with pytest.raises(LimitExceeded, match="number of pixels"):
        stream.Decoding.of(read(many))
    tall_tiles = write(replace(header, width=65_535, height=16_320, tile=16_320, cuts=0), [[b"\0" * 5000] * 5])
    with pytest.raises(LimitExceeded, match="row of tiles"):
        stream.Decoding.of(read(tall_tiles))
    with pytest.raises(UsageError):
        stream.Decoding.of(read(data), network="huge")


def test_a_reader_that_fails_ends_the_encoder(tall: Callable[..., NDArray[Any]]):
    class Broken(ArrayRows):
        def read(self, count: int) -> NDArray[Any]:
            if self.row > 100:
                raise lac.errors.UnsupportedInput("truncated")
            return super().read(count)

    pixels = tall(400, 150, 3, 8)
    source = RowSource(*pixels.shape, np.uint8, lambda: Broken(pixels))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STRIP", 150 * 64)
        for jobs in (1, 2):
            with (
                pytest.raises(lac.errors.UnsupportedInput),
                stream.encode_rows(lac.ImageCodec(effort=6, jobs=jobs), source),
            ):
                pass
    assert image.FREE_PIXELS == stream.FREE_PIXELS
