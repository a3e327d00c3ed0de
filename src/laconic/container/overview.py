"""What a file says before its pixels: header and metadata, read by seeking past the streams.

For programs that open many pictures and look at few: a photo of any size costs some reads of a few bytes each. The
header must be sound; metadata are taken as far as they are intact, because `read` names the damage once pixels are
wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laconic.container.chunks import Tag, unframe
from laconic.container.cursor import Cursor
from laconic.container.fields import read_header
from laconic.container.layout import groups
from laconic.container.metadata import MAX_METADATA, Metadata, read_metadata
from laconic.container.reader import ARRAY_CODEC, read_start
from laconic.errors import FormatError, UnsupportedInput

if TYPE_CHECKING:
    from typing import BinaryIO

    from laconic.container.fields import Header

__all__ = ["read_overview"]

MAX_START = 256
"""Bytes that are read at first: magic, version and the header chunk of a picture take some 40."""
MAX_FRAME = 10
"""Bytes of the longest frame: tag, length of at most five bytes, checksum."""


def read_overview(stream: BinaryIO) -> tuple[Header, Metadata]:
    """Read header and metadata of a picture from a file that can seek; the coded streams are not read.

    Raises
    ------
    NotLaconic, NewerVersion, CorruptStream, TruncatedStream, LimitExceeded
        The start of the file is wrong; what is wrong after the header is left to `read`.
    UnsupportedInput
        The file holds arrays.
    """
    stream.seek(0)
    cursor = Cursor(memoryview(stream.read(MAX_START)), whole_file=True)
    read_start(cursor)
    start = cursor.at
    _read_frame(cursor)
    if cursor.left and cursor.data[cursor.at] == ARRAY_CODEC:
        raise UnsupportedInput("the file holds weights or arrays, not a picture: see `laconic expand` and lac.weights")
    cursor.at = start
    chunk, wrong = unframe(cursor, Tag.HEADER, 0, "header")
    if wrong:
        raise wrong
    header = read_header(chunk.payload, offset=chunk.payload_offset)
    return header, Metadata(**_read_profiles(stream, cursor.at, header))


def _read_profiles(stream: BinaryIO, place: int, header: Header) -> dict[str, bytes]:
    """Read what stands before and after the streams; the first frame that makes no sense ends it."""
    after = [(Tag.EXIF, "exif")] * header.has_exif + [(Tag.XMP, "xmp")] * header.has_xmp
    streams = [(Tag.SEGMENTS, "")] * (len(groups(header.cuts)) if after else 0)
    found: dict[str, bytes] = {}
    for number, (tag, name) in enumerate([(Tag.ICC, "icc")] * header.has_icc + streams + after, start=1):
        try:
            stream.seek(place)
            cursor = Cursor(memoryview(stream.read(MAX_FRAME)))
            length = _read_frame(cursor)
            size = cursor.at + length
            if name and length <= MAX_METADATA + 1:
                stream.seek(place)
                chunk, wrong = unframe(Cursor(memoryview(stream.read(size)), base=place), tag, number, name)
                if wrong:
                    break
                found[name] = read_metadata(chunk.payload, name, offset=chunk.payload_offset)
        except FormatError:
            break
        place += size
    return found


def _read_frame(cursor: Cursor) -> int:
    """Move past the frame of a chunk; return how many bytes its payload has."""
    cursor.u8("chunk tag")
    length = cursor.varint("chunk length")
    cursor.u32("chunk checksum")
    return length
