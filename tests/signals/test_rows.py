"""Rows that pass by are the rows of the whole picture, in every format that allows it; damage is named."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from laconic.errors import LimitExceeded, UnsupportedInput, UsageError
from laconic.signals import formats, tiff_rows
from laconic.signals.image import Image, load, save
from laconic.signals.row_files import ROW_FORMATS, open_rows, row_writer

from .pictures import SRGB, XMP, encoded, exif, noise, tiff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from laconic.signals.rows import RowSource

KINDS = [(channels, dtype) for channels in (1, 2, 3, 4) for dtype in (np.uint8, np.uint16)]


def saved(image: Image, kind: str) -> bytes:
    stream = io.BytesIO()
    save(stream, image, format=kind)
    return stream.getvalue()


def opened(data: bytes) -> RowSource:
    found = open_rows(data, above=0)
    assert found is not None
    return found


def all_rows(source: RowSource, *counts: int) -> NDArray[Any]:
    parts: list[NDArray[Any]] = []
    top = 0
    with source.reader() as reader:
        while top < source.height:
            count = min(counts[len(parts) % len(counts)], source.height - top)
            parts.append(reader.read(count))
            assert parts[-1].shape == (count, source.width, source.channels)
            assert parts[-1].flags.c_contiguous
            assert parts[-1].dtype == source.dtype
            top += count
    return np.concatenate(parts)


@pytest.mark.parametrize("kind", sorted(ROW_FORMATS))
@pytest.mark.parametrize(("channels", "dtype"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (53, 31)])
def test_rows_are_those_of_the_whole_picture(kind: str, channels: int, dtype: Any, size: tuple[int, int]):
    pixels = noise(*size, channels, dtype=dtype)
    data = saved(Image(pixels), kind)
    whole = load(data).pixels
    source = opened(data)
    assert (source.height, source.width, source.channels) == whole.shape
    for counts in ((1,), (7, 2), (1000,)):
        assert np.array_equal(all_rows(source, *counts), whole)
    if whole.shape == pixels.shape:  # TIFF with 16-bit gray and alpha becomes color
        assert np.array_equal(whole, pixels)


@pytest.mark.parametrize("kind", sorted(ROW_FORMATS))
@pytest.mark.parametrize(("channels", "dtype"), KINDS)
def test_the_bytes_do_not_depend_on_how_the_rows_come(
    kind: str, channels: int, dtype: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("laconic.signals.png_writer._PIECE", 500)
    monkeypatch.setattr("laconic.signals.tiff._STRIP", 500)
    pixels = noise(61, 23, channels, dtype=dtype)
    described = {"icc": SRGB if channels > 2 else None, "exif": exif(1), "xmp": XMP}
    found: set[bytes] = set()
    for counts in ((61,), (1,), (5, 30, 2)):
        stream = io.BytesIO()
        writer = row_writer(formats.by_name(kind), stream, pixels.shape, dtype, metadata=described)
        top = 0
        while top < 61:
            rows = pixels[top : top + counts[top % len(counts)]]
            writer.write(rows)
            top += len(rows)
        writer.finish()
        found.add(stream.getvalue())
    assert len(found) == 1
    data = found.pop()
    back, source = load(data), opened(data)
    assert np.array_equal(all_rows(source, 10), back.pixels)
    assert (source.icc, source.exif, source.xmp) == (back.icc, back.exif, back.xmp)
    if kind in {"png", "tiff"}:
        assert (back.icc, back.xmp) == (described["icc"], described["xmp"].replace(b'"6"', b'"1"'))
        assert back.exif is not None


def reframed(data: bytes, *chunks: tuple[bytes, bytes], before: bytes = b"IDAT") -> bytes:
    """A PNG file with more chunks before the first of a kind."""
    place = data.index(before) - 4
    framed = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:place] + framed + data[place:]


def test_png_of_other_programs_passes_by_with_its_metadata():
    for mode, channels in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
        pixels = noise(70, 40, channels)
        picture = Pillow.fromarray(pixels[..., 0] if channels == 1 else pixels, mode)
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=True)
        icc = SRGB if channels > 2 else None
        data = encoded(picture, "PNG", pnginfo=info, exif=exif(1), **({"icc_profile": icc} if icc else {}))
        source, whole = opened(data), load(data)
        assert np.array_equal(all_rows(source, 13), whole.pixels)
        assert (source.icc, source.exif, source.xmp) == (whole.icc, whole.exif, whole.xmp)
        assert whole.exif is not None
    late = reframed(saved(Image(noise(9, 9, 3)), "png"), (b"eXIf", exif(1)), before=b"IEND")
    assert opened(late).exif == load(late).exif == exif(1)
    misfit = saved(Image(noise(9, 9, 1), icc=SRGB), "png")
    assert opened(misfit).icc is load(misfit).icc is None
    assert opened(misfit).notes == load(misfit).notes != ()


def test_every_filter_of_png_is_read():
    pixels = noise(40, 30, 3)
    raw, above = b"", np.zeros((30, 3), np.uint8)
    for number, row in enumerate(pixels):
        left = np.concatenate([np.zeros((1, 3), np.uint8), row[:-1]])
        corner = np.concatenate([np.zeros((1, 3), np.uint8), above[:-1]])
        a, b, c = (part.astype(int) for part in (left, above, corner))
        to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))
        predicted = [0 * a, a, b, (a + b) // 2, paeth][number % 5]
        raw += bytes([number % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    file = saved(Image(pixels), "png")
    start = file[: file.index(b"IDAT") - 4]
    packed = zlib.compress(raw)
    # Empty chunks and chunks of one byte are allowed.
    data = reframed(start + file[-12:], (b"IDAT", b""), (b"IDAT", packed[:1]), (b"IDAT", packed[1:]), before=b"IEND")
    assert np.array_equal(load(data).pixels, pixels)
    assert np.array_equal(all_rows(opened(data), 3), pixels)
    wrong = reframed(start + file[-12:], (b"IDAT", zlib.compress(b"\5" + raw[1:])), before=b"IEND")
    with pytest.raises(UnsupportedInput, match="filter 5"):
        all_rows(opened(wrong), 3)


@pytest.mark.parametrize(
    ("mode", "options"),
    [("P", {}), ("1", {}), ("RGB", {"transparency": (1, 2, 3)}), ("I;16", {"transparency": 7})],
)
def test_png_that_must_be_seen_whole(mode: str, options: dict[str, Any]):
    picture = Pillow.new(mode, (20, 20))
    assert open_rows(encoded(picture, "PNG", **options), above=0) is None
    first, second = Pillow.new("L", (5, 5)), Pillow.new("L", (5, 5), 9)
    assert open_rows(encoded(first, "PNG", save_all=True, append_images=[second]), above=0) is None


def test_what_turns_or_is_small_is_loaded_whole():
    data = saved(Image(noise(20, 20, 3)), "png")
    assert open_rows(data) is None
    assert open_rows(data, above=399) is not None
    assert open_rows(data, above=400) is None
    for value in range(2, 9):
        assert open_rows(reframed(data, (b"eXIf", exif(value))), above=0) is None
    assert open_rows(encoded(Pillow.new("RGB", (9, 9)), "JPEG"), above=0) is None
    assert open_rows(b"P3 1 1 255 1 2 3", above=0) is None
    with pytest.raises(UnsupportedInput, match="this is PNG"):
        open_rows(data, format="tiff")
    with pytest.raises(UsageError):
        row_writer(formats.by_name("jpeg"), io.BytesIO(), (1, 1, 3), np.uint8)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_plain_tiff_passes_by(order: str, dtype: Any):
    for channels, extra in ((1, None), (3, None), (4, 2)):
        pixels = noise(33, 21, channels, dtype=dtype)
        data = tiff(pixels, order=order, photometric=2 if channels > 1 else 1, extra=extra)
        assert np.array_equal(all_rows(opened(data), 4), pixels)
    assert open_rows(tiff(noise(9, 9, 3, dtype=dtype), order=order, planar=True), above=0) is None
    assert open_rows(tiff(noise(9, 9, 4, dtype=dtype), order=order, extra=1), above=0) is None  # premultiplied
    if (order, dtype) != (">", np.uint16):  # which Pillow does not read
        assert open_rows(tiff(noise(9, 9, 1, dtype=dtype), order=order, photometric=0), above=0) is None


@pytest.mark.parametrize("compression", ["raw", "tiff_adobe_deflate", "tiff_lzw", "jpeg"])
def test_tiff_of_other_programs(compression: str):
    pixels = noise(300, 91, 3)
    for options in ({}, {"tiffinfo": {317: 2}}, {"tiffinfo": {278: 300}}):
        if compression == "raw" and options:
            continue
        data = encoded(Pillow.fromarray(pixels), "TIFF", compression=compression, **options)
        source = open_rows(data, above=0)
        assert (source is None) == (compression in {"tiff_lzw", "jpeg"})
        if source is not None:
            assert np.array_equal(all_rows(source, 17), load(data).pixels)


def tiled(pixels: NDArray[Any], side: int, *, packed: bool) -> bytes:
    """A TIFF file in tiles, written by the book."""
    height, width, channels = pixels.shape
    tiles: list[bytes] = []
    for top in range(0, height, side):
        for left in range(0, width, side):
            tile = np.zeros((side, side, channels), pixels.dtype)
            part = pixels[top : top + side, left : left + side]
            tile[: part.shape[0], : part.shape[1]] = part
            if packed:
                tile[:, 1:] -= tile[:, :-1].copy()
            data = tile.astype(pixels.dtype.newbyteorder("<")).tobytes()
            tiles.append(zlib.compress(data) if packed else data)
    offsets = np.cumsum([8, *map(len, tiles)])
    entries: list[tuple[int, str, list[int]]] = [
        (256, "I", [width]), (257, "I", [height]), (258, "H", [8 * pixels.itemsize] * channels),
        (259, "H", [8 if packed else 1]), (262, "H", [2 if channels == 3 else 1]), (277, "H", [channels]),
        (317, "H", [2 if packed else 1]), (322, "I", [side]), (323, "I", [side]),
        (324, "I", offsets[:-1].tolist()), (325, "I", [len(tile) for tile in tiles]),
    ]  # fmt: skip
    directory, tail = struct.pack("<H", len(entries)), b""
    place = int(offsets[-1]) + 2 + 12 * len(entries) + 4
    for tag, letter, values in entries:
        body = struct.pack(f"<{len(values)}{letter}", *values)
        stored = body.ljust(4, b"\0") if len(body) <= 4 else struct.pack("<I", place + len(tail))
        tail += body if len(body) > 4 else b""
        directory += struct.pack("<HHI", tag, 3 if letter == "H" else 4, len(values)) + stored
    return struct.pack("<2sHI", b"II", 42, int(offsets[-1])) + b"".join(tiles) + directory + bytes(4) + tail


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("side", [16, 48, 128])
@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (3, np.uint16)])
def test_tiles_of_tiff_pass_by(packed: bool, side: int, channels: int, dtype: Any):
    pixels = noise(100, 70, channels, dtype=dtype)
    data = tiled(pixels, side, packed=packed)
    assert np.array_equal(load(data).pixels, pixels)
    assert np.array_equal(all_rows(opened(data), 11), pixels)


def cases(data: bytes) -> Iterator[bytes]:
    rng = np.random.default_rng(len(data))
    for _ in range(120):
        bad = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            bad[place] = rng.integers(256)
        yield bytes(bad)
    for place in rng.integers(1, len(data), 60):
        yield data[:place]


@pytest.mark.parametrize("kind", sorted(ROW_FORMATS))
def test_damage_is_named_or_harmless(kind: str):
    """Never a hang, a crash or another kind of error."""
    data = saved(Image(noise(40, 30, 3), exif=exif(1), xmp=XMP), kind)
    refused = 0
    for bad in cases(data):
        try:
            source = open_rows(bad, above=0)
            if source is not None and source.pixels < 1 << 20:
                all_rows(source, 9)
        except (UnsupportedInput, LimitExceeded):
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("kind", sorted(ROW_FORMATS))
def test_a_file_without_its_end_is_named(kind: str):
    data = saved(Image(noise(40, 30, 3)), kind)
    for length in (len(data) - 1, len(data) // 2):
        if kind == "tiff" and length == len(data) - 1:
            continue  # its last byte is of padding or of the pointer to no further picture
        with pytest.raises(UnsupportedInput, match=r"(?i)truncated|damaged"):
            all_rows(opened(data[:length]), 7)


def test_a_flipped_bit_in_the_pixels_of_png_is_named():
    data = bytearray(saved(Image(noise(40, 30, 3)), "png"))
    data[len(data) // 2] ^= 1
    with pytest.raises(UnsupportedInput):
        all_rows(opened(bytes(data)), 7)


def test_npy_that_is_no_picture():
    for array in (np.zeros((2, 2), np.float32), np.zeros(4, np.uint8), np.zeros((2, 2, 5), np.uint8), np.array([{}])):
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        with pytest.raises(UnsupportedInput):
            load(stream.getvalue())
    pixels = noise(20, 31, 3, dtype=np.uint16)
    for stored in (np.asfortranarray(pixels), pixels.astype(">u2"), pixels):
        stream = io.BytesIO()
        np.save(stream, stored)
        assert np.array_equal(load(stream.getvalue()).pixels, pixels)
        found = open_rows(stream.getvalue(), above=0)
        assert (found is None) == bool(np.isfortran(stored))
    stream = io.BytesIO()
    np.save(stream, np.zeros((1, 1), np.uint8))
    huge = stream.getvalue().replace(b"(1, 1), }            ", b"(99999, 99999), }    ")
    assert huge != stream.getvalue()
    with pytest.raises(LimitExceeded):
        load(huge)


def test_tall_tiles_are_left_to_pillow(monkeypatch: pytest.MonkeyPatch):
    data = tiled(noise(40, 40, 3), 32, packed=False)
    assert open_rows(data, above=0) is not None
    monkeypatch.setattr(tiff_rows, "_TALLEST", 16)
    assert open_rows(data, above=0) is None
