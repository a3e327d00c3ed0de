"""The frame around every part of the file: tag, length, checksum, payload.

``tag u8 | length LEB128 | crc32 u32 | payload``: the checksum (CRC-32 of zlib) covers the tag, the number of the chunk
in the file and the payload, so that a chunk is only believed in its own place. A wrong
length moves the payload and so breaks it too.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from laconic.container.cursor import varint
from laconic.container.mapped import PORTION, forget
from laconic.errors import CorruptStream, TruncatedStream

if TYPE_CHECKING:
    from laconic.container.cursor import Cursor
    from laconic.errors import FormatError

__all__ = ["Chunk", "Tag", "checksum", "frame", "head", "unframe"]


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


def checksum(tag: Tag, number: int, payload: bytes | memoryview) -> int:
    """Return the CRC-32 of the tag, the number of the chunk in the file (the header is 0) and the payload."""
    found = zlib.crc32(bytes([tag, number]))
    view = memoryview(payload)
    for start in range(0, len(view), PORTION):
        found = zlib.crc32(view[start : start + PORTION], found)
        forget(view)
    return found


def frame(tag: Tag, number: int, payload: bytes) -> bytes:
    """Put the frame of chunk `number` before the payload."""
    return head(tag, len(payload), checksum(tag, number, payload)) + payload


def head(tag: Tag, length: int, found: int) -> bytes:
    """Spell the frame of a payload of `length` bytes whose checksum is `found`."""
    return bytes([tag]) + varint(length) + found.to_bytes(4, "little")


def unframe(cursor: Cursor, tag: Tag, number: int, name: str) -> tuple[Chunk, FormatError | None]:
    """Read chunk `number`, which must stand here and is called `name` in errors, and say what is wrong with it.

    A chunk whose checksum fits the expected tag is intact even if its own tag was hit. What cannot be framed is raised.
    """
    start = cursor.at
    found_tag = cursor.u8(f"{name} tag")
    length = cursor.varint(f"{name} length")
    expected_sum = cursor.u32(f"{name} checksum")
    body = cursor.at
    payload = cursor.take(min(length, cursor.left), name)
    found_sum = checksum(tag, number, payload)
    intact = len(payload) == length and found_sum == expected_sum
    wrong: FormatError | None = None
    if found_tag != tag:
        wrong = CorruptStream(f"{name} tag", start, f"{tag:#04x}", f"{found_tag:#04x}")
    elif len(payload) < length:
        wrong = TruncatedStream(name, body, f"{length} bytes", len(payload))
    elif not intact:
        wrong = CorruptStream(f"{name} checksum", body - 4, f"{expected_sum:#010x}", f"{found_sum:#010x}")
    return Chunk(tag, start, cursor.at - start, payload, intact), wrong
