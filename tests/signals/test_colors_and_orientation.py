"""Everything becomes upright gray or RGB, once."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from laconic.errors import UnsupportedInput
from laconic.signals import exif as exifs
from laconic.signals.image import from_pil, load

from .pictures import SRGB, cmyk_profile, encoded, exif, noise

PIXELS = noise(24, 40, 3)


def upright(orientation: int) -> np.ndarray:
    picture = Pillow.fromarray(PIXELS)
    picture.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_exactly_once(orientation: int, order: str):
    block = exif(orientation, order=order)
    picture = Pillow.fromarray(PIXELS)
    plain = load(encoded(picture, "JPEG", quality=95)).pixels
    for name, options in {"PNG": {}, "WebP": {"lossless": True}, "JPEG": {"quality": 95}}.items():
        prefix = b"Exif\0\0" if name == "JPEG" else b""
        image = load(encoded(picture, name, exif=prefix + block, **options))
        expected = upright(orientation) if name != "JPEG" else exifs.turn(plain, orientation)
        assert np.array_equal(image.pixels, expected), name
        # The tag is reset, everything else stays where it was.
        assert image.exif is not None
        assert exifs.orientation(image.exif) == 1
        assert image.exif == exif(1, order=order)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
def test_tiff_is_turned_once_although_pillow_turns_it_too(orientation: int, compression: str):
    data = encoded(Pillow.fromarray(PIXELS), "TIFF", compression=compression, tiffinfo={274: orientation, 271: "Maker"})
    image = load(data)
    assert np.array_equal(image.pixels, upright(orientation))
    assert exifs.orientation(image.exif) in {None, 1}
    assert np.array_equal(from_pil(Pillow.open(io.BytesIO(data))).pixels, upright(orientation))


def test_16_bit_png_is_turned():
    deep = noise(5, 8, 3, dtype=np.uint16)
    plain = bytes(imagecodecs.png_encode(deep))
    block = exif(6)
    chunk = b"eXIf" + block
    import struct
    import zlib

    data = plain[:33] + struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]
    assert np.array_equal(load(data).pixels, np.rot90(deep, -1))


def test_orientation_of_xmp_counts_where_exif_has_none():
    xmp = b'<rdf:Description tiff:Orientation="6" />'
    image = load(encoded(Pillow.fromarray(PIXELS), "WebP", lossless=True, xmp=xmp))
    assert np.array_equal(image.pixels, upright(6))
    assert image.xmp == xmp.replace(b"6", b"1")
    both = load(encoded(Pillow.fromarray(PIXELS), "WebP", lossless=True, xmp=xmp, exif=exif(3)))
    assert np.array_equal(both.pixels, upright(3))
    assert both.xmp == xmp.replace(b"6", b"1")
    tiff = load(encoded(Pillow.fromarray(PIXELS), "TIFF", tiffinfo={700: xmp}))
    assert np.array_equal(tiff.pixels, upright(6))
    assert tiff.xmp == xmp.replace(b"6", b"1")


def test_a_pil_image_is_turned_once():
    picture = Pillow.open(io.BytesIO(encoded(Pillow.fromarray(PIXELS), "PNG", exif=exif(8))))
    assert np.array_equal(from_pil(picture).pixels, upright(8))
    assert np.array_equal(from_pil(ImageOps.exif_transpose(picture)).pixels, upright(8))


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_damaged_exif_is_harmless(cut: int):
    block = exif(6)[:cut]
    assert exifs.orientation(exifs.bare(block)) in {None, 6}
    exifs.upright_exif(block)
    image = load(encoded(Pillow.fromarray(PIXELS), "PNG", exif=exif(6)[:cut] or b"II"))
    assert image.pixels.shape in {(24, 40, 3), (40, 24, 3)}


def test_a_cmyk_profile_is_applied_and_said():
    picture = Pillow.new("CMYK", (8, 8), (255, 0, 0, 0))
    profiled = load(encoded(picture, "JPEG", icc_profile=cmyk_profile()))
    red, green, blue = profiled.pixels.reshape(-1, 3).mean(axis=0)
    assert red > 200 > 60 > max(green, blue)  # the profile says red whatever the ink
    assert profiled.icc is None
    assert "profile was applied" in profiled.notes[0]
    plain = load(encoded(picture, "JPEG", quality=95))
    assert np.abs(plain.pixels.astype(int) - [0, 255, 255]).max() < 8
    assert "formula" in plain.notes[0]
    broken = load(encoded(picture, "JPEG", icc_profile=cmyk_profile()[:200]))
    assert "unusable" in broken.notes[0]


def test_ycck_and_cmyk_jpeg_agree_with_pillow():
    picture = Pillow.fromarray(PIXELS).convert("CMYK")
    data = encoded(picture, "JPEG", quality=100, subsampling=0)
    assert np.array_equal(load(data).pixels, np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")))


def test_lab_tiff_becomes_srgb():
    lab = Pillow.merge("LAB", [Pillow.new("L", (4, 4), value) for value in (255, 128, 128)])
    image = load(encoded(lab, "TIFF"))
    assert image.pixels.shape == (4, 4, 3)
    assert image.pixels.min() > 245
    assert "Lab" in image.notes[0]


def test_palettes_and_bits():
    bits = Pillow.fromarray(noise(9, 17) > 127)
    assert np.array_equal(load(encoded(bits, "PNG")).pixels[..., 0], np.asarray(bits) * np.uint8(255))
    assert np.array_equal(
        load(encoded(bits, "TIFF", compression="group4")).pixels[..., 0], np.asarray(bits) * np.uint8(255)
    )
    colors = Pillow.fromarray(PIXELS).quantize(50)
    for name in ("PNG", "GIF", "BMP", "TIFF"):
        assert np.array_equal(load(encoded(colors, name)).pixels, np.asarray(colors.convert("RGB"))), name
    gray = Pillow.fromarray(noise(9, 9)).convert("P")
    gray.putpalette([value for index in range(256) for value in (255 - index,) * 3])
    assert load(encoded(gray, "PNG")).pixels.shape == (9, 9, 1)
    assert load(encoded(gray, "PNG", icc_profile=SRGB)).pixels.shape == (9, 9, 3)  # an RGB profile needs RGB


def test_transparent_colors_become_alpha():
    colors = Pillow.fromarray(PIXELS).quantize(16)
    data = encoded(colors, "PNG", transparency=3)
    image = load(data)
    assert np.array_equal(image.pixels, np.asarray(Pillow.open(io.BytesIO(data)).convert("RGBA")))
    gray = load(encoded(Pillow.fromarray(noise(6, 6)), "PNG", transparency=int(noise(6, 6)[0, 0])))
    assert gray.pixels.shape == (6, 6, 2)
    assert gray.pixels[0, 0, 1] == 0
    color = load(encoded(Pillow.fromarray(PIXELS), "PNG", transparency=tuple(map(int, PIXELS[0, 0]))))
    assert color.pixels[0, 0, 3] == 0
    assert color.pixels[..., 3].max() == 255


def test_transparent_16_bit_colors_become_alpha():
    import struct
    import zlib

    for channels in (1, 3):
        deep = noise(5, 8, channels, dtype=np.uint16)
        key = deep[0, 0].astype(">u2").tobytes()
        plain = bytes(imagecodecs.png_encode(deep))
        chunk = b"tRNS" + key
        data = plain[:33] + struct.pack(">I", len(key)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + plain[33:]
        image = load(data).pixels
        assert np.array_equal(image[..., :channels], deep)
        assert image[0, 0, channels] == 0
        assert np.array_equal(image[..., channels] == 0, (deep == deep[0, 0]).all(axis=2))


def test_only_the_first_picture_is_read_and_that_is_said():
    frames = [Pillow.fromarray(noise(8, 8, 3, seed=seed)).quantize(20) for seed in (1, 2)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    image = load(data)
    assert np.array_equal(image.pixels, np.asarray(frames[0].convert("RGB")))
    assert "first" in image.notes[0]


def test_a_profile_that_does_not_fit_the_pixels_is_dropped_and_that_is_said():
    image = load(encoded(Pillow.new("L", (4, 4)), "JPEG", icc_profile=SRGB))
    assert image.icc is None
    assert "profile" in image.notes[0]


def test_floating_point_and_wide_integers_are_refused():
    for mode, value in (("F", 0.5), ("I", 70_000)):
        with pytest.raises(UnsupportedInput, match="not supported"):
            load(encoded(Pillow.new(mode, (4, 4), value), "TIFF"))
    assert from_pil(Pillow.new("I", (2, 2), 65_535)).pixels.dtype == np.uint16
