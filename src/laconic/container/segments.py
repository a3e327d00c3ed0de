"""The payload of a segments chunk: one coded stream per tile, for one resolution group.

One tile: the payload is its stream. More tiles: a table of (length LEB128, CRC-32 of the stream) per tile, then the
streams without holes. The checksum per stream lets a reader keep the tiles that damage elsewhere has spared, and a
reader of one region check only what it reads.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from laconic.container.cursor import Cursor, varint
from laconic.errors import CorruptStream, FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_segments", "salvage_segments", "write_segments"]

MIN_TABLE_ROW = 5
"""Bytes of the shortest table row: a length of one byte and the checksum."""


def write_segments(streams: Sequence[bytes]) -> bytes:
    """Join the streams of all tiles, tile 0 first, into one payload."""
    if len(streams) == 1:
        return bytes(streams[0])
    table = b"".join(varint(len(stream)) + zlib.crc32(stream).to_bytes(4, "little") for stream in streams)
    return table + b"".join(streams)


def read_segments(payload: memoryview, count: int, *, offset: int = 0) -> tuple[memoryview, ...]:
    """Cut a payload that begins at byte `offset` of the file into the streams of `count` tiles, without copying.

    Raises
    ------
    CorruptStream
        The table does not add up to the payload, or a checksum fails.
    """
    streams = salvage_segments(payload, count, offset=offset)
    cut: list[memoryview] = []
    for stream in streams:
        if isinstance(stream, FormatError):
            raise stream
        cut.append(stream)
    if count > 1 and sum(map(len, cut)) + _table_size(cut) != len(payload):
        raise CorruptStream("segments", offset, "the streams to fill the chunk", "bytes left over")
    return tuple(cut)


def salvage_segments(payload: memoryview, count: int, *, offset: int = 0) -> list[memoryview | CorruptStream]:
    """Cut a payload that may be damaged or cut short: what is intact as a view, and for the rest what is wrong.

    Never raises. Only where `count` is 1 nothing here can tell damage: that stream has no checksum but the chunk's.
    """
    if count == 1:
        return [payload]
    # The table needs this much, so a hostile tile count cannot take more memory than the file it came in.
    if count * MIN_TABLE_ROW > len(payload):
        error = CorruptStream("tile table", offset, f"at least {count * MIN_TABLE_ROW} bytes", len(payload))
        return [error] * count
    cursor = Cursor(payload, base=offset)
    rows: list[tuple[int, int]] = []
    streams: list[memoryview | CorruptStream] = []
    try:
        rows.extend((cursor.varint("stream length"), cursor.u32("stream checksum")) for _ in range(count))
    except CorruptStream as error:
        return [error] * count
    for tile, (length, expected) in enumerate(rows):
        start = cursor.offset
        try:
            stream = cursor.take(length, f"stream of tile {tile}")
        except CorruptStream as error:
            streams.append(error)
            cursor.at = len(payload)
            continue
        found = zlib.crc32(stream)
        if found == expected:
            streams.append(stream)
        else:
            streams.append(CorruptStream(f"checksum of tile {tile}", start, f"{expected:#010x}", f"{found:#010x}"))
    return streams


def _table_size(streams: Sequence[memoryview]) -> int:
    return sum(4 + len(varint(len(stream))) for stream in streams)
