"""Files of predicted samples: exact, the same whole and in rows, seen as the wavelet's are; the smaller is kept."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laconic as lac
from laconic.codecs import image, image_decoder, image_reference, stream
from laconic.codecs.predicted import code_samples, predicted_header
from laconic.codecs.tiles import colors_of, tile_coding
from laconic.container import Metadata, read, write
from laconic.container.fields import PREDICTED
from laconic.entropy import prediction
from laconic.errors import CorruptStream, LimitExceeded, TruncatedStream, UsageError
from laconic.models import default_model
from laconic.signals.image import load
from laconic.signals.rows import AbstractRowReader, RowSource
from laconic.transform.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

KINDS = [*product((1, 2, 3, 4), (8, 16))]
EXAMPLES = Path(__file__).parents[2] / "examples"
WAVELET = lac.ImageCodec(lossless=True, effort=6)


def predicted(pixels: NDArray[Any], tile: int | None = None, **metadata: bytes) -> bytes:
    """A file of predicted samples, even where one with a wavelet would be smaller."""
    header = predicted_header(read(WAVELET.encode(pixels)).header, tile)
    with Workers(2) as workers:
        return write(header, [code_samples(pixels, header, workers)], Metadata(**metadata))


def in_first_colors(pixels: NDArray[Any]) -> bytes:
    """A file with the wavelet, of YCoCg-R if it has colors at all."""
    with Workers(1) as workers:
        analysis = image.Analysis.of(pixels, lossless=True, workers=workers)
        header = WAVELET.header_at(analysis, 0)
        return write(header, WAVELET.code_tiles(analysis, header, workers)[0])


class ArrayRows(AbstractRowReader):
    def __init__(self, pixels: NDArray[Any]) -> None:
        self.pixels, self.row = pixels, 0

    def read(self, count: int) -> NDArray[Any]:
        self.row += count
        return self.pixels[self.row - count : self.row]

    def close(self) -> None:
        self.row = -1


def streamed(codec: lac.ImageCodec, pixels: NDArray[Any], metadata: Metadata | None = None) -> bytes:
    sink = io.BytesIO()
    source = RowSource(*pixels.shape, pixels.dtype.type, lambda: ArrayRows(pixels))
    with stream.encode_rows(codec, source, metadata) as spool:
        spool.write(sink)
        assert spool.size == len(sink.getvalue())
        assert spool.header.predicted == read(sink.getvalue()).header.predicted
    return sink.getvalue()


def in_rows(data: bytes, jobs: int = 1, *, allow_partial: bool = False) -> tuple[NDArray[Any], list[str]]:
    container = read(data, allow_partial=allow_partial)
    decoding = stream.Decoding.of(container, allow_partial=allow_partial)
    with Workers(jobs) as workers:
        return np.concatenate(list(workers.ahead(decoding.rows(workers)))), decoding.damaged


def with_streams(data: bytes, changes: dict[int, bytes]) -> bytes:
    """Put other streams into a file, all checksums right."""
    container = read(data)
    streams = [bytes(part or b"") for part in container.segments[0]]
    return write(container.header, [[changes.get(tile, part) for tile, part in enumerate(streams)]])


# There and back


@pytest.mark.parametrize(("channels", "depth"), KINDS)
def test_files_come_back_whole_and_in_rows(channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    for size, tile in (
        ((1, 1), 64),
        ((1, 131), 64),
        ((130, 1), 64),
        ((129, 65), 64),
        ((64, 70), 128),
        ((50, 60), None),
    ):
        pixels = variants(*size, channels, depth)
        data = predicted(pixels, tile)
        header = read(data).header
        assert (header.predicted, header.cuts, header.tile) == (True, 0, tile or 512)
        for jobs in (1, 3):
            back = lac.decompress(data, jobs=jobs)
            assert back.dtype == pixels.dtype
            assert back.shape == (pixels.shape if channels > 1 else pixels.shape[:2])
            assert np.array_equal(back.reshape(pixels.shape), pixels)
            rows, damaged = in_rows(data, jobs)
            assert rows.dtype == pixels.dtype
            assert np.array_equal(rows, pixels)
            assert damaged == []
        assert lac.verify(data) == lac.inspect(data)


@pytest.mark.parametrize(("channels", "depth"), KINDS)
def test_the_reference_gives_the_same_pixels(channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    pixels = variants(3, 66, channels, depth)
    found = image_reference.decode(predicted(pixels, 64))
    assert np.array_equal(found.pixels, pixels)
    assert found.pixels.dtype == pixels.dtype
    assert found.symbols.shape == found.coefficients.shape == (channels, 3, 66)
    assert not found.symbols.any()
    assert not found.coefficients.any()


@pytest.mark.parametrize(("channels", "depth"), KINDS)
def test_bytes_are_those_of_the_whole_picture(channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    for size, tile, jobs in (((1, 1), None, 1), ((141, 77), 64, 2), ((90, 120), None, 1), ((66, 130), 128, 3)):
        pixels = variants(*size, channels, depth)
        codec = lac.ImageCodec(lossless=True, tile=tile, jobs=jobs)
        data = codec.encode(pixels, icc=b"profile", xmp=b"<x/>")
        assert streamed(codec, pixels, Metadata(icc=b"profile", xmp=b"<x/>")) == data
        assert replace(codec, jobs=1).encode(pixels, icc=b"profile", xmp=b"<x/>") == data
        assert data in (
            predicted(pixels, tile, icc=b"profile", xmp=b"<x/>"),
            replace(codec, effort=6).encode(pixels, icc=b"profile", xmp=b"<x/>"),
        )
        assert np.array_equal(lac.decompress(data).reshape(pixels.shape), pixels)


@settings(max_examples=30)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 4), st.integers(1, 40), st.sampled_from([64, 128]))
def test_any_size_in_strips_of_any_height(height: int, width: int, channels: int, rows: int, tile: int):
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8)
    pixels[: height // 2] //= 64
    codec = lac.ImageCodec(lossless=True, tile=tile, jobs=1)
    data = codec.encode(pixels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STRIP", rows * width)
        assert streamed(codec, pixels) == data
    assert np.array_equal(in_rows(data)[0], pixels)
    assert np.array_equal(lac.decompress(data).reshape(pixels.shape), pixels)


def test_pixels_that_cannot_be_written_are_only_read(tmp_path: Path, variants: Callable[..., NDArray[Any]]):
    """A photo in a file that is mapped for reading: a write there would end the process."""
    pixels = variants(70, 65, 3, 8)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    assert np.array_equal(prediction.tables(mapped, (0, 0, 70, 65)), prediction.tables(pixels, (0, 0, 70, 65)))


# The smaller of two


def test_the_smaller_file_is_kept(photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    pixels = np.ascontiguousarray(photo[:100, :120])
    wavelet, other = WAVELET.encode(pixels, xmp=b"<x/>"), predicted(pixels, xmp=b"<x/>")
    around = len(other) - len(read(other).segments[0][0] or b"")
    for extra, kept in ((-1, True), (0, False), (1, False)):
        size = len(wavelet) + extra
        stand_in = [bytes(size - around)]
        with monkeypatch.context() as patch:
            for module in (image, stream):
                patch.setattr(module, "code_samples", lambda *_, stand_in=stand_in: stand_in)
            for data in (
                lac.compress(pixels, lossless=True, xmp=b"<x/>"),
                streamed(lac.ImageCodec(lossless=True), pixels, Metadata(xmp=b"<x/>")),
            ):
                assert len(data) == min(size, len(wavelet))
                assert read(data).header.predicted == kept
                assert kept or data == wavelet


def test_photos_are_smaller_than_by_the_wavelet():
    # Not very small ones: the wavelet's contexts were learned from photos, a predictor learns as it goes.
    pixels = np.ascontiguousarray(load(EXAMPLES / "kitten.jpg").pixels[:300, :400])
    data = lac.compress(pixels, lossless=True)
    assert len(data) < len(lac.compress(pixels, lossless=True, effort=6))
    assert lac.inspect(data).predicted


def test_efforts_are_of_two_kinds(monkeypatch: pytest.MonkeyPatch):
    pixels = np.random.default_rng(3).integers(0, 256, (60, 70, 3), np.uint8)
    found = [lac.compress(pixels, lossless=True, effort=effort) for effort in range(1, 11)]
    assert [lac.inspect(data).predicted for data in found] == [False] * 6 + [True] * 4
    assert len(set(found[:6])) == len(set(found[6:])) == 1
    # Larger pictures are what they are at lower efforts.
    for most, expected in ((60 * 70, found[6]), (60 * 70 - 1, found[5])):
        monkeypatch.setattr(image, "MAX_PREDICTED_PIXELS", most)
        assert lac.compress(pixels, lossless=True) == expected
        assert streamed(lac.ImageCodec(lossless=True), pixels) == expected


def test_lossy_files_are_never_predicted(photo: NDArray[np.uint8]):
    pixels = np.ascontiguousarray(photo[:64, :64])
    header = read(lac.compress(pixels, quality=60)).header
    assert not header.predicted
    assert not lac.ImageCodec(quality=60).predicts(header)


# Parts of the picture


@pytest.mark.parametrize(("channels", "depth"), [(1, 8), (2, 16), (3, 8), (4, 8), (3, 16)])
def test_regions_and_scales_are_those_of_the_wavelet(channels: int, depth: int, variants: Callable[..., NDArray[Any]]):
    pixels = variants(91, 139, channels, depth)
    data, wavelet = predicted(pixels, 64), in_first_colors(pixels)
    rng = np.random.default_rng(channels)
    for scale in range(6):
        assert np.array_equal(lac.decompress(data, scale=scale), lac.decompress(wavelet, scale=scale))
        regions = [(0, 0, 139, 91), (138, 90, 1, 1), (0, 0, 1, 1), (63, 63, 2, 2), (0, 70, 139, 1), (64, 64, 64, 27)]
        for _ in range(3):
            x, y = int(rng.integers(139)), int(rng.integers(91))
            regions.append((x, y, int(rng.integers(1, 140 - x)), int(rng.integers(1, 92 - y))))
        for region in regions if scale in (0, 3) else regions[3:4]:
            found = lac.decompress(data, region=region, scale=scale, jobs=int(rng.integers(1, 4)))
            assert np.array_equal(found, lac.decompress(wavelet, region=region, scale=scale)), (region, scale)
            if scale == 0:
                x, y, width, height = region
                assert np.array_equal(found.reshape(height, width, channels), pixels[y : y + height, x : x + width])


def test_a_region_takes_the_tiles_that_it_meets_and_no_other(photo: NDArray[np.uint8]):
    data = predicted(photo, 64)  # four tiles across, three down
    bad = with_streams(data, {tile: b"" for tile in range(12) if tile not in (5, 6)})
    assert np.array_equal(lac.decompress(bad, region=(64, 64, 128, 64)), photo[64:128, 64:192])
    for region in ((63, 64, 10, 10), (192, 64, 1, 1), (64, 63, 1, 1), (64, 128, 1, 1)):
        with pytest.raises(CorruptStream):
            lac.decompress(bad, region=region)
    with pytest.raises(CorruptStream):
        lac.decompress(bad, region=(70, 70, 20, 20), scale=1)  # made of all pixels
    with pytest.raises(UsageError):
        lac.decompress(data, region=(0, 0, 201, 1))
    with pytest.raises(UsageError):
        lac.decompress(data, scale=6)


def test_a_limit_is_for_what_is_decoded(photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    data = predicted(photo, 64)
    monkeypatch.setattr(image_decoder, "MAX_DECODED_PIXELS", 2 * 64 * 64)
    assert lac.decompress(data, region=(60, 10, 8, 8)).shape == (8, 8, 3)
    for asked in ({}, {"scale": 5}, {"region": (60, 60, 8, 8)}, {"region": (0, 0, 8, 8), "scale": 1}):
        with pytest.raises(LimitExceeded, match="pixels"):
            lac.decompress(data, **asked)


def test_a_black_picture_is_large_enough_to_be_believed():
    """A file above 16 megapixels has to have a byte for so many pixels: the tiles of such pictures must."""
    black = np.zeros((image.LARGEST_TILE, image.LARGEST_TILE, 1), np.uint8)
    [tile] = read(predicted(black, image.LARGEST_TILE)).segments[0]
    assert tile is not None
    assert len(tile) * image_decoder.MAX_PIXELS_PER_BYTE > 2 * black.size


# Damage


def test_damage_is_named_or_gray(variants: Callable[..., NDArray[Any]]):
    for channels, depth in ((1, 8), (4, 16)):
        pixels = variants(130, 150, channels, depth)  # three tiles across and down
        data = predicted(pixels, 64)
        streams = [bytes(part or b"") for part in read(data).segments[0]]
        for tile, bad in ((0, b""), (4, streams[4][:-2]), (8, streams[7])):
            broken = with_streams(data, {tile: bad})
            with pytest.raises(CorruptStream, match=f"of tile {tile}"):
                lac.decompress(broken)
            with pytest.raises(CorruptStream, match=f"of tile {tile}"):
                in_rows(broken)
            with pytest.raises(CorruptStream, match=f"of tile {tile}"):
                lac.verify(broken)
            expected = pixels.copy()
            down, across = divmod(tile, 3)
            expected[64 * down : 64 * down + 64, 64 * across : 64 * across + 64] = 1 << (depth - 1)
            restored = lac.restore(broken, allow_partial=True)
            assert np.array_equal(restored.pixels.reshape(pixels.shape), expected)
            [words] = restored.missing
            assert words.startswith(f"samples of tile {tile}: ")
            rows, damaged = in_rows(broken, 2, allow_partial=True)
            assert np.array_equal(rows, expected)
            assert damaged == [words]
            smaller = lac.restore(broken, scale=2, allow_partial=True)
            assert smaller.missing == (words,)
            assert np.array_equal(smaller.pixels, lac.decompress(in_first_colors(expected), scale=2))


def test_what_a_broken_checksum_loses_is_gray_too(photo: NDArray[np.uint8]):
    data = predicted(photo, 64)
    part = bytes(read(data).segments[0][6] or b"")
    broken = bytearray(data)
    broken[data.index(part) + len(part) // 2] ^= 0x10
    with pytest.raises(CorruptStream):
        lac.decompress(bytes(broken))
    restored = lac.restore(bytes(broken), allow_partial=True)
    expected = photo.copy()
    expected[64:128, 128:192] = 128
    assert np.array_equal(restored.pixels, expected)
    assert [words[:17] for words in restored.missing] == ["samples of tile 6"]
    assert np.array_equal(in_rows(bytes(broken), allow_partial=True)[0], expected)


def test_any_prefix_that_holds_the_header_gives_a_picture(photo: NDArray[np.uint8]):
    data = predicted(photo, 64)
    first = read(data).chunks[0]
    for size in range(first.offset + first.size, len(data), 5003):
        with pytest.raises(TruncatedStream):
            lac.decompress(data[:size])
        restored = lac.restore(data[:size], allow_partial=True)
        assert restored.pixels.shape == photo.shape
        assert restored.missing
        rows, damaged = in_rows(data[:size], allow_partial=True)
        assert np.array_equal(rows, restored.pixels)
        assert tuple(damaged) == restored.missing
    assert (lac.restore(data[: first.offset + first.size], allow_partial=True).pixels == 128).all()


def test_gray_is_what_the_wavelet_makes_of_nothing(variants: Callable[..., NDArray[Any]]):
    for channels, depth in KINDS:
        pixels = variants(40, 50, channels, depth)
        pictures = [
            lac.decompress(data[: read(data).chunks[1].offset], allow_partial=True)
            for data in (predicted(pixels), in_first_colors(pixels))
        ]
        assert np.array_equal(*pictures)


# What it says


def test_what_a_file_says_of_itself(photo: NDArray[np.uint8]):
    info = lac.inspect(predicted(photo, 64))
    assert (info.lossless, info.predicted, info.parameter_set, info.tiles) == (True, True, PREDICTED, 12)
    assert (info.step, info.tune, info.network) == (None, None, "off")
    assert [name for name, _ in info.parts] == ["magic and version", "header", "samples"]
    assert sum(size for _, size in info.parts) == info.bytes_total
    assert not lac.inspect(WAVELET.encode(photo)).predicted


def test_there_are_no_coefficients_and_no_colors(photo: NDArray[np.uint8]):
    header = read(predicted(photo)).header
    with pytest.raises(CorruptStream, match="parameter_set"):
        tile_coding(header, default_model())
    assert colors_of(header) == 0
    latents = lac.ImageCodec(lossless=True).latents(photo)
    assert np.array_equal(latents.symbols, WAVELET.latents(photo).symbols)


def test_other_networks_change_nothing_and_tiles_have_limits(photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch):
    pixels = np.ascontiguousarray(photo[:70, :80])
    data = predicted(pixels)
    assert np.array_equal(lac.decompress(data, network="best"), pixels)
    monkeypatch.setattr(image, "FREE_PIXELS", 100)
    with pytest.raises(UsageError, match="tile"):
        lac.ImageCodec(lossless=True, tile=2048).encode(pixels)
