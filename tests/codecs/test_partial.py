"""What is left of a damaged file: coarser where the fine part is gone, the rest of the picture where a tile is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import laconic as lac
from laconic.codecs.targets import psnr
from laconic.container import read
from laconic.errors import CorruptStream, FormatError, TruncatedStream

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_every_further_group_makes_the_picture_better(photo: NDArray[np.uint8]):
    data = lac.ImageCodec(quality=80, tile=64).encode(photo)
    ends = [chunk.offset + chunk.size for chunk in read(data).chunks]
    decibels: list[float] = []
    for end in ends[:-1]:
        with pytest.raises(TruncatedStream):
            lac.decompress(data[:end])
        restored = lac.restore(data[:end], allow_partial=True)
        assert restored.missing
        decibels.append(psnr(photo, restored.pixels))
    whole = lac.restore(data, allow_partial=True)
    assert whole.missing == ()
    decibels.append(psnr(photo, whole.pixels))
    assert decibels == sorted(decibels)
    assert decibels[-1] > decibels[1] + 3 > decibels[0] + 6


def test_any_prefix_that_holds_the_header_gives_a_picture(photo: NDArray[np.uint8]):
    data = lac.ImageCodec(quality=60, tile=64).encode(photo)
    first = read(data).chunks[0]
    start = first.offset + first.size
    for size in range(0, len(data), 97):
        if size < start:
            with pytest.raises(FormatError):
                lac.decompress(data[:size], allow_partial=True)
        else:
            assert lac.decompress(data[:size], allow_partial=True).shape == photo.shape


def test_a_hit_tile_harms_no_other(photo: NDArray[np.uint8]):
    data = lac.ImageCodec(quality=70, tile=64, network="off").encode(photo)
    container = read(data)
    good = lac.decompress(data)
    streams = [bytes(stream or b"") for stream in container.segments[-1]]
    for tile in (tile for tile, stream in enumerate(streams) if len(stream) > 12):
        at = data.index(streams[tile]) + len(streams[tile]) // 2
        broken = bytearray(data)
        broken[at] ^= 0x10
        with pytest.raises(CorruptStream):
            lac.decompress(bytes(broken))
        restored = lac.restore(bytes(broken), allow_partial=True)
        # In a damaged chunk nobody can tell an empty stream from zeroed bytes: those are named too, and change nothing.
        named = [words for words in restored.missing if "at least 1 byte" not in words]
        assert len(named) == 1
        assert f"tile {tile}:" in named[0]
        row, column = divmod(tile, -(-photo.shape[1] // 64))
        # The wavelet reaches a few pixels across the edge of a tile.
        rows, columns = np.indices(photo.shape[:2])
        near = (abs(rows - row * 64 - 32) < 40) & (abs(columns - column * 64 - 32) < 40)
        assert np.array_equal(restored.pixels[~near], good[~near])
        assert not np.array_equal(restored.pixels, good)


def test_alpha_and_lossless_files_can_be_partial_too(photo: NDArray[np.uint8]):
    rgba = np.concatenate([photo, photo[:, :, :1]], axis=2)
    for codec in (lac.ImageCodec(lossless=True, effort=6), lac.ImageCodec(quality=50)):
        data = codec.encode(rgba)
        cut = data[: len(data) // 2]
        restored = lac.restore(cut, allow_partial=True)
        assert restored.missing
        assert psnr(rgba, restored.pixels) > 15
