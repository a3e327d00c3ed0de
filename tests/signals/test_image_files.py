"""Laws of reading and writing picture files."""

from __future__ import annotations

import io
import pickle
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from laconic.errors import OutputExists, UnsupportedInput, UsageError
from laconic.signals import formats
from laconic.signals.image import Image, from_pil, load, save

from .pictures import SRGB, XMP, encoded, exif, noise, tiff

SIZES = [(1, 1), (1, 300), (300, 1), (37, 53), (131, 70)]
HOLDS = [
    (kind.name, depth, channels)
    for kind in formats.FORMATS
    for depth in kind.depths
    for channels in kind.channels
    if kind.name != "jpeg"
]


def through(image: Image, name: str) -> Image:
    stream = io.BytesIO()
    save(stream, image, format=name)
    return load(stream.getvalue())


@pytest.mark.parametrize(("name", "depth", "channels"), HOLDS)
def test_a_lossless_format_gives_back_every_sample(name: str, depth: int, channels: int):
    for seed, size in enumerate(SIZES):
        pixels = noise(*size, channels, dtype=np.uint8 if depth == 8 else np.uint16, seed=seed)
        back = through(Image(pixels), name).pixels
        # WebP knows no gray, and hardly any program reads a TIFF of 16-bit gray with alpha: those become color.
        if back.shape[2] != channels:
            assert name == "webp" or (name, depth, channels) == ("tiff", 16, 2)
            pixels = pixels[..., [0, 0, 0, 1] if channels == 2 else [0, 0, 0]]
        assert back.dtype == pixels.dtype
        assert np.array_equal(back, pixels), size


def test_jpeg_is_close_and_keeps_gray_gray():
    ramp = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    gray, color = ramp[..., None], np.stack([ramp, ramp[::-1], 255 - ramp], axis=2)
    for pixels in (gray, color):
        back = through(Image(pixels), "jpeg").pixels
        assert back.shape == pixels.shape
        assert np.abs(back.astype(int) - pixels).mean() < 2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_png_agrees_with_another_implementation(channels: int):
    pixels = noise(67, 41, channels, dtype=np.uint16)
    stream = io.BytesIO()
    save(stream, Image(pixels), format="png")
    assert np.array_equal(np.asarray(imagecodecs.png_decode(stream.getvalue())).reshape(pixels.shape), pixels)
    assert np.array_equal(load(imagecodecs.png_encode(pixels)).pixels, pixels)


def test_deep_png_is_exact_whatever_filter_suits_a_row():
    random = np.random.default_rng(3)
    down, right = np.mgrid[0:90, 0:120]
    smooth = (300 * down + 250 * right + random.integers(0, 9, (90, 120))).astype(np.uint16)
    rows = np.repeat(noise(1, 120, 1, dtype=np.uint16)[..., 0], 9, axis=0)
    columns = np.repeat(random.integers(0, 2**16, (9, 1), dtype=np.uint16), 120, axis=1)
    dots = (random.random((9, 120)) < 0.05) * np.uint16(0x0101)
    pixels = np.concatenate([smooth, rows, columns, dots])[..., None]
    stream = io.BytesIO()
    save(stream, Image(pixels), format="png")
    assert np.array_equal(np.asarray(imagecodecs.png_decode(stream.getvalue()))[..., None], pixels)
    data, packed, place = stream.getvalue(), b"", 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        packed += data[place + 8 : place + 8 + size] if data[place + 4 : place + 8] == b"IDAT" else b""
        place += 12 + size
    assert set(zlib.decompress(packed)[:: 2 * 120 + 1]) == {0, 1, 2, 4}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_foreign_tiff_is_exact(order: str, planar: bool, dtype: type, channels: int):
    pixels = noise(23, 31, channels, dtype=dtype)
    data = tiff(pixels, order=order, planar=planar, extra=2 if channels == 4 else None)
    assert np.array_equal(load(data).pixels, pixels)


def test_16_bit_gray_where_white_is_zero_is_inverted():
    pixels = noise(9, 11, 1, dtype=np.uint16)
    assert np.array_equal(load(tiff(pixels, photometric=0)).pixels, 65_535 - pixels)


def test_premultiplied_16_bit_colors_are_divided():
    pixels = np.array([[[1000, 2000, 0, 32768], [7, 7, 7, 0], [65535, 1, 2, 65535]]], np.uint16)
    divided = load(tiff(pixels, extra=1)).pixels
    assert divided[0, 0].tolist() == [2000, 4000, 0, 32768]
    assert divided[0, 2].tolist() == [65535, 1, 2, 65535]


@pytest.mark.parametrize("name", ["png", "tiff", "webp", "jpeg"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_metadata_goes_through_files(name: str, order: str):
    block = exif(order=order)
    back = through(Image(noise(20, 30, 3), SRGB, block, XMP), name)
    assert back.icc == SRGB
    assert back.xmp == XMP
    tags = Pillow.Exif()
    tags.load(b"Exif\0\0" + (back.exif or b""))
    assert tags[271] == "Maker of cameras"
    assert tags.get_ifd(34665)[37500] == b"maker note \x00\xff"
    if name != "tiff":  # Pillow writes the EXIF of a TIFF anew
        assert back.exif == block


def test_metadata_of_16_bit_files_is_read_by_others():
    for name in ("png", "tiff"):
        stream = io.BytesIO()
        save(stream, Image(noise(8, 8, 1, dtype=np.uint16), None, exif(), XMP), format=name)
        with Pillow.open(stream) as picture:
            picture.load()
            assert picture.getexif()[271] == "Maker of cameras"
            assert picture.info["xmp"] == XMP


@pytest.mark.parametrize(
    ("name", "pixels", "reason"),
    [
        ("jpeg", noise(4, 4, 3, dtype=np.uint16), "16-bit"),
        ("webp", noise(4, 4, 3, dtype=np.uint16), "16-bit"),
        ("bmp", noise(4, 4, 1, dtype=np.uint16), "16-bit"),
        ("jpeg", noise(4, 4, 4), "transparency"),
        ("bmp", noise(4, 4, 2), "transparency"),
        ("gif", noise(4, 4, 3), "not written"),
        ("jpeg", np.zeros((1, 65_501, 1), np.uint8), "65500"),
        ("webp", np.zeros((16_384, 1, 3), np.uint8), "16383"),
        ("tga", noise(4, 4, 3), "unknown"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name: str, pixels: np.ndarray, reason: str, tmp_path: Path):
    with pytest.raises(UsageError, match=reason):
        save(tmp_path / "out", Image(pixels), format=name)
    assert list(tmp_path.iterdir()) == []


def test_alpha_does_not_go_into_ppm(tmp_path: Path):
    with pytest.raises(UsageError, match="transparency"):
        save(tmp_path / "x.ppm", Image(noise(4, 4, 4)))
    save(tmp_path / "x.pam", Image(noise(4, 4, 4)))
    assert np.array_equal(load(tmp_path / "x.pam").pixels, noise(4, 4, 4))


def test_exif_too_long_for_jpeg_is_refused_not_cut(tmp_path: Path):
    block = exif(maker_note=bytes(70_000))
    with pytest.raises(UsageError, match="64 kB"):
        save(tmp_path / "x.jpg", Image(noise(4, 4, 3), exif=block))
    save(tmp_path / "x.png", Image(noise(4, 4, 3), exif=block))
    assert load(tmp_path / "x.png").exif == block


def test_the_ending_chooses_the_format_and_an_existing_file_is_kept(tmp_path: Path):
    image = Image(noise(5, 6, 3))
    for ending, magic in {
        ".PNG": b"\x89PNG",
        ".tif": b"II*\0",
        ".ppm": b"P6",
        ".bmp": b"BM",
        ".jpeg": b"\xff\xd8",
    }.items():
        target = tmp_path / f"x{ending}"
        save(target, image)
        assert target.read_bytes().startswith(magic)
        with pytest.raises(OutputExists):
            save(target, image)
        save(target, image, force=True)
    with pytest.raises(UsageError, match="does not say"):
        save(tmp_path / "x.xyz", image)


def test_paths_open_files_bytes_urls_and_pil_images_are_read(tmp_path: Path):
    fsspec = pytest.importorskip("fsspec")
    pixels = noise(12, 9, 3)
    data = encoded(Pillow.fromarray(pixels), "PNG")
    path = tmp_path / "x.png"
    path.write_bytes(data)
    with path.open("rb") as stream:
        sources = [path, str(path), data, io.BytesIO(data), stream]
        assert all(np.array_equal(load(source).pixels, pixels) for source in sources)
    save("memory://laconic/x.png", Image(pixels))
    assert np.array_equal(load("memory://laconic/x.png").pixels, pixels)
    with pytest.raises(OutputExists):
        save("memory://laconic/x.png", Image(pixels))
    with fsspec.open("memory://laconic/x.png") as remote:
        assert remote.read(4) == b"\x89PNG"
    assert np.array_equal(from_pil(Pillow.fromarray(pixels)).pixels, pixels)


def test_an_image_survives_pickling_and_strips_metadata():
    image = pickle.loads(pickle.dumps(Image(noise(3, 3, 1), SRGB, exif(), XMP)))
    bare = image.keeping(frozenset({"xmp"}))
    assert (bare.icc, bare.exif, bare.xmp) == (None, None, XMP)


def test_a_jpeg_with_a_further_picture_is_noted_one_with_a_preview_is_not():
    first, second = Pillow.fromarray(noise(16, 16, 3)), Pillow.fromarray(noise(16, 16, 3, seed=1))
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert load(data).notes == ("it holds several pictures; only the first was read",)
    disparity, preview = (0x020002).to_bytes(4, "little"), (0x010001).to_bytes(4, "little")
    # Byte 50 of the index, which begins after `MPF`: entries of 16 bytes, each of which begins with its kind.
    segment = data.index(b"MPF\0")
    second_entry = segment + 4 + 50 + 16
    for kind, notes in ((disparity, 1), (preview, 0)):
        assert len(load(data[:second_entry] + kind + data[second_entry + 4 :]).notes) == notes
    for place in range(segment, second_entry + 16):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        load(bytes(damaged))


def test_png_is_compressed_for_speed():
    for dtype in (np.uint8, np.uint16):
        stream = io.BytesIO()
        save(stream, Image(noise(64, 64, 3, dtype=dtype)), format="png")
        data = stream.getvalue()
        # The two highest bits of the second byte of a zlib stream (RFC 1950): 1 is "fast", 2 the default.
        assert data[data.index(b"IDAT") + 5] >> 6 == 1


def test_the_asked_input_format_is_enforced():
    data = encoded(Pillow.new("L", (3, 3)), "PNG")
    assert load(data, format="png").pixels.shape == (3, 3, 1)
    with pytest.raises(UnsupportedInput, match="PNG, not JPEG"):
        load(data, format="jpg")


def test_pgm_and_ppm_of_other_ranges_are_stretched():
    assert load(b"P2 # gray\n3 1\n1023\n0 511 1023\n").pixels.ravel().tolist() == [0, 32735, 65535]
    assert load(b"P5\n2 1\n15\n\x00\x0f").pixels.ravel().tolist() == [0, 255]
    assert load(b"P3\n1 1\n255\n1 2 3").pixels.ravel().tolist() == [1, 2, 3]
    assert load(b"P1\n2 1\n1 0\n").pixels.ravel().tolist() == [0, 255]
