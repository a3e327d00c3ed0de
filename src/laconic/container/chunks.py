"""The frame around every part of the file: tag, length, checksum, payload.

``tag u8 | length LEB128 | crc32 u32 | payload``: the checksum (CRC-32 of zlib) covers the tag and the payload; a wrong
length moves the payload and so breaks it too.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum

from laconic.container.cursor import varint

__all__ = ["Chunk", "Tag", "checksum", "frame"]


class Tag(IntEnum):
    """The kinds of chunks, by the byte that names them."""

    HEADER = 0x01
    ICC = 0x02
    EXIF = 0x03
    XMP = 0x04
    SEGMENTS = 0x10


@dataclass(frozen=True)
class Chunk:
    """Where one chunk stands in the file.

    `offset` is the position of the tag and `size` the length of the whole chunk with its frame, both in bytes;
    `payload` is a view into the file. In a damaged file `size` may be shorter than announced and `intact` is False.
    """

    tag: Tag
    offset: int
    size: int
    payload: memoryview
    intact: bool = True

    @property
    def payload_offset(self) -> int:
        """Position of the payload in the file, in bytes."""
        return self.offset + self.size - len(self.payload)


def checksum(tag: Tag, payload: bytes | memoryview) -> int:
    """Return the CRC-32 of the tag and the payload."""
    return zlib.crc32(payload, zlib.crc32(bytes([tag])))


def frame(tag: Tag, payload: bytes) -> bytes:
    """Put the frame before the payload."""
    return bytes([tag]) + varint(len(payload)) + checksum(tag, payload).to_bytes(4, "little") + payload
