"""What a photo carries beside its pixels: ICC profile, EXIF, XMP, each kept byte for byte.

Payload: ``method u8 | bytes``, method 0 as they are, 1 zlib. The writer takes the shorter of the two.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from laconic.container.cursor import Cursor
from laconic.errors import CorruptStream, LimitExceeded, UnsupportedInput

__all__ = ["MAX_METADATA", "Metadata", "read_metadata", "write_metadata"]

MAX_METADATA = 16 * 2**20
"""Bytes of the largest profile: larger ones are no profiles, and a decompression bomb ends here."""

RAW, ZLIB = 0, 1


@dataclass(frozen=True)
class Metadata:
    """The optional parts of a file; None where the file has none, never empty."""

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None


def write_metadata(content: bytes) -> bytes:
    """Spell 1..`MAX_METADATA` bytes as the payload of their chunk.

    Raises
    ------
    UnsupportedInput
        Nothing, or more than the limit.
    """
    if not 1 <= len(content) <= MAX_METADATA:
        msg = f"metadata of {len(content)} bytes, the format allows 1..{MAX_METADATA}"
        raise UnsupportedInput(msg)
    packed = zlib.compress(content, 9)
    return bytes([ZLIB]) + packed if len(packed) < len(content) else bytes([RAW]) + content


def read_metadata(payload: memoryview, name: str, *, offset: int = 0) -> bytes:
    """Read the payload of chunk `name` that begins at byte `offset` of the file.

    Raises
    ------
    CorruptStream
        Unknown method, broken or unfinished zlib data, bytes after them, or no content.
    LimitExceeded
        More than `MAX_METADATA` bytes; no more than that was unpacked.
    """
    cursor = Cursor(payload, base=offset)
    start = cursor.offset
    method = cursor.u8(f"{name} method")
    packed = cursor.take(cursor.left, name)
    if method == RAW:
        content = bytes(packed[: MAX_METADATA + 1])
    elif method == ZLIB:
        unpacker = zlib.decompressobj()
        try:
            content = unpacker.decompress(packed, MAX_METADATA + 1)
        except zlib.error as error:
            raise CorruptStream(name, start + 1, "zlib data", str(error)) from error
        if len(content) <= MAX_METADATA and (not unpacker.eof or unpacker.unused_data):
            raise CorruptStream(name, start + 1, "zlib data that fill the chunk", "more or fewer bytes")
    else:
        raise CorruptStream(f"{name} method", start, "0 or 1", method)
    if len(content) > MAX_METADATA:
        raise LimitExceeded(f"{name} bytes", MAX_METADATA, len(content))
    if not content:
        raise CorruptStream(name, start + 1, "at least 1 byte", "nothing")
    return content
