"""Damaged and malicious pictures: a named error, quickly, with little memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from laconic.errors import LaconicError, LimitExceeded, UnsupportedInput
from laconic.signals.image import Image, load, save

from .pictures import SRGB, XMP, encoded, exif, noise, tiff


def png(width: int, height: int, data: bytes = b"", bits: int = 8) -> bytes:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def deep(name: str) -> bytes:
    stream = io.BytesIO()
    save(stream, Image(noise(20, 30, 3, dtype=np.uint16), SRGB, exif(6), XMP), format=name)
    return stream.getvalue()


def jpeg_of(width: int, height: int) -> bytes:
    data = encoded(Pillow.new("RGB", (16, 16)), "JPEG")
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


COLORS = Pillow.fromarray(noise(20, 30, 3))
SAMPLES = {
    "png": encoded(COLORS, "PNG", exif=exif(6), icc_profile=SRGB),
    "deep png": deep("png"),
    "palette png": encoded(COLORS.quantize(9), "PNG", transparency=2),
    "jpeg": encoded(COLORS, "JPEG", exif=b"Exif\0\0" + exif(6), icc_profile=SRGB),
    "cmyk jpeg": encoded(COLORS.convert("CMYK"), "JPEG"),
    "progressive jpeg": encoded(COLORS, "JPEG", progressive=True),
    "tiff": tiff(noise(20, 30, 3)),
    "deep tiff": deep("tiff"),
    "lzw tiff": encoded(COLORS, "TIFF", compression="tiff_lzw"),
    "webp": encoded(COLORS, "WebP", exif=exif(6)),
    "gif": encoded(COLORS.quantize(30), "GIF"),
    "bmp": encoded(COLORS, "BMP"),
    "ppm": encoded(COLORS, "PPM"),
    "deep pam": deep("pnm"),
}


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_truncated_picture_is_a_named_error(kind: str):
    data = SAMPLES[kind]
    load(data)
    for cut in [*range(0, len(data) // 2, max(1, len(data) // 60)), len(data) // 2, 3 * len(data) // 4]:
        with pytest.raises((UnsupportedInput, LimitExceeded)):
            load(data[:cut])


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_picture_is_a_picture_or_a_named_error(kind: str):
    random = np.random.default_rng(7)
    for _ in range(150):
        data = bytearray(SAMPLES[kind])
        for place in random.integers(0, len(data), random.integers(1, 6)):
            data[place] = random.integers(256)
        try:
            image = load(bytes(data))
        except LaconicError:
            continue
        assert image.pixels.ndim == 3
        assert image.pixels.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (png(70_000, 5), LimitExceeded),
        (png(5, 70_000), LimitExceeded),
        (png(65_535, 65_535), LimitExceeded),
        (png(0, 5), UnsupportedInput),
        (png(65_535, 32_767), UnsupportedInput),
        (png(65_535, 32_767, zlib.compress(bytes(10**6)), bits=16), UnsupportedInput),
        (jpeg_of(65_500, 32_767), UnsupportedInput),
        (jpeg_of(65_500, 65_500), LimitExceeded),
        (b"P6 65535 32767 255\n", UnsupportedInput),
        (b"P5 99999999999999999999 1 255\n", UnsupportedInput),
        (b"P7\nWIDTH 65535\nHEIGHT 65535\nDEPTH 4\nMAXVAL 65535\nENDHDR\n", LimitExceeded),
        (
            encoded(Pillow.new("L", (4, 4)), "GIF")[:6] + struct.pack("<HH", 65_535, 32_767) + bytes(20),
            UnsupportedInput,
        ),
    ],
)
def test_absurd_sizes_are_refused_at_once(data: bytes, error: type[Exception]):
    start = time.perf_counter()
    with pytest.raises(error):
        load(data)
    assert time.perf_counter() - start < 1


def test_little_memory_is_a_clear_error():
    script = (
        "import resource, sys, zlib\n"
        "from laconic.errors import UnsupportedInput\n"
        "from laconic.signals.image import load\n"
        "import PIL.PngImagePlugin\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "try: load(sys.stdin.buffer)\n"
        "except UnsupportedInput as error: print(error)\n"
    )
    bomb = png(12_000, 12_000, zlib.compress(bytes(12_000 * 36_001), 9))
    done = subprocess.run([sys.executable, "-c", script], input=bomb, capture_output=True, timeout=60, check=True)
    assert b"does not fit into memory" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"\x89lac\x01", "already"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypheic", "HEIC"),
        (b"\xff\x0a abc", "JPEG XL"),
        (b"%PDF-1.7", "PDF"),
        (b"hello world, no picture", "known format"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, words: str):
    with pytest.raises(UnsupportedInput, match=words):
        load(data)
