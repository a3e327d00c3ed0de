"""Pictures for the tests: noise that survives nothing but exact code, metadata, and a CMYK profile made by hand."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:Description tiff:Orientation=\"1\" dc:title='t'/></x:xmpmeta>"


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 0) -> np.ndarray:
    """Random samples over the whole range, with a flat part so that every PNG filter gets its turn."""
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    pixels[: shape[0] // 2, ::3] = pixels[0, 0]
    return pixels


def exif(orientation: int | None = None, *, order: str = "<", maker_note: bytes = b"maker note \x00\xff") -> bytes:
    """A small EXIF block with make, orientation, exposure time and a maker note."""
    made = Pillow.Exif()
    made.endian = order
    made[271] = "Maker of cameras"
    if orientation is not None:
        made[274] = orientation
    made.get_ifd(34665).update({33434: 0.5, 37500: maker_note})
    made._loaded = True
    block = made.tobytes()
    return block[6:] if block.startswith(b"Exif\0\0") else block


def encoded(picture: Pillow.Image, format: str, **options: Any) -> bytes:  # noqa: A002
    """The bytes Pillow writes."""
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def cmyk_profile() -> bytes:
    """An ICC version 2 output profile that maps every CMYK color to the same Lab red: unmistakable when applied."""
    grid = bytes([128, 208, 195]) * 16  # L 50, a 80, b 67 in the 8-bit Lab of lut8Type, for 2^4 grid points
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + grid + ramp * 3
    description = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags: list[tuple[bytes, bytes]] = [(b"desc", description), (b"wtpt", white), (b"A2B0", table)]
    place = 128 + 4 + 12 * len(tags)
    directory, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        data += bytes(-len(data) % 4)
        directory += name + struct.pack(">II", place + len(body), len(data))
        body += data
    header = bytearray(128)
    header[8:12] = b"\x02\x40\0\0"
    header[12:24] = b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    header[0:4] = struct.pack(">I", place + len(body))
    return bytes(header) + directory + body


def tiff(
    pixels: np.ndarray, *, order: str = "<", planar: bool = False, photometric: int = 2, extra: int | None = None
) -> bytes:
    """A TIFF file without compression, written by the book and by nothing under test."""
    height, width, channels = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(order))
    strips = [data[..., band].tobytes() for band in range(channels)] if planar else [data.tobytes()]
    offsets = [8 + sum(map(len, strips[:index])) for index in range(len(strips))]
    end = 8 + sum(map(len, strips))
    tail = b""
    entries: list[bytes] = []
    table: list[tuple[int, str, list[int]]] = [
        (256, "I", [width]), (257, "I", [height]), (258, "H", [8 * pixels.itemsize] * channels), (259, "H", [1]),
        (262, "H", [photometric]), (273, "I", offsets), (277, "H", [channels]), (278, "I", [height]),
        (279, "I", list(map(len, strips))), (284, "H", [2 if planar else 1]),
    ]  # fmt: skip
    if extra is not None:
        table.append((338, "H", [extra]))
    for number, letter, values in table:
        stored = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(stored) > 4:
            tail, stored = tail + stored, struct.pack(order + "I", end + len(tail))
        entries.append(
            struct.pack(order + "HHI", number, 3 if letter == "H" else 4, len(values)) + stored.ljust(4, b"\0")
        )
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", end + len(tail)) + b"".join(strips) + tail + directory
