"""The payload of a segments chunk: one coded stream per tile, for one resolution group.

One tile: the payload is its stream. More tiles: a table of (length LEB128, checksum u32) per tile, then the streams
without holes. The checksum is the CRC-32 of chunk number u8, tile number u32 and stream, so that a stream is only
believed in its own place. It lets a reader keep the tiles that damage elsewhere has spared, and a reader of one region
check only what it reads.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from laconic.container.cursor import Cursor, varint
from laconic.container.mapped import PORTION, forget
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_segments", "salvage_segments", "table_row", "write_segments"]

MIN_TABLE_ROW = 5
"""Bytes of the shortest table row: a length of one byte and the checksum."""


def write_segments(streams: Sequence[bytes | memoryview], number: int) -> bytes:
    """Join the streams of all tiles, tile 0 first, into the payload of chunk `number`."""
    if len(streams) == 1:
        return bytes(streams[0])
    table = b"".join(table_row(number, tile, stream) for tile, stream in enumerate(streams))
    return table + b"".join(streams)


def table_row(number: int, tile: int, stream: bytes | memoryview) -> bytes:
    """Spell the entry of one tile in the table of chunk `number`."""
    return varint(len(stream)) + _checksum(number, tile, stream).to_bytes(4, "little")


def read_segments(payload: memoryview, count: int, number: int, *, offset: int = 0) -> tuple[memoryview, ...]:
    """Cut the payload of chunk `number`, at byte `offset` of the file, into the streams of `count` tiles, without
    copying.

    Raises
    ------
    CorruptStream
        The table does not add up to the payload, or a checksum fails.
    """
    if count == 1:
        return (payload,)
    cursor = Cursor(payload, base=offset)
    table = _read_table(cursor, count)
    streams: list[memoryview] = []
    held = 0
    for tile, row in enumerate(table):
        streams.append(_read_stream(cursor, number, tile, *row))
        held += len(streams[-1])
        if held > PORTION:
            forget(payload)
            held = 0
    cursor.finish("end of segments")
    return tuple(streams)


def salvage_segments(
    payload: memoryview, count: int, number: int, *, offset: int = 0
) -> list[memoryview | CorruptStream]:
    """Cut what can be cut from a payload that failed its checksum: per tile its stream, or what is wrong with it.

    Never raises. A stream is believed only where a checksum of its own holds, so with one tile there is nothing to
    believe.
    """
    if count == 1:
        return [CorruptStream("stream of tile 0", offset, "a checksum of its own", "none")]
    cursor = Cursor(payload, base=offset)
    try:
        table = _read_table(cursor, count)
    except CorruptStream as error:
        return [error] * count
    streams: list[memoryview | CorruptStream] = []
    for tile, (length, checksum) in enumerate(table):
        try:
            streams.append(_read_stream(cursor, number, tile, length, checksum))
        except CorruptStream as error:
            streams.append(error)
    return streams


def _checksum(number: int, tile: int, stream: bytes | memoryview) -> int:
    return zlib.crc32(stream, zlib.crc32(bytes([number]) + tile.to_bytes(4, "little")))


def _read_table(cursor: Cursor, count: int) -> list[tuple[int, int]]:
    # The table needs this much, so a hostile tile count cannot take more memory than the file it came in.
    if count * MIN_TABLE_ROW > cursor.left:
        raise CorruptStream("tile table", cursor.offset, f"at least {count * MIN_TABLE_ROW} bytes", cursor.left)
    return [(cursor.varint("stream length"), cursor.u32("stream checksum")) for _ in range(count)]


def _read_stream(cursor: Cursor, number: int, tile: int, length: int, checksum: int) -> memoryview:
    """Read one stream; the cursor moves past it even where its checksum fails."""
    start = cursor.offset
    stream = cursor.take(length, f"stream of tile {tile}")
    found = _checksum(number, tile, stream)
    if found != checksum:
        raise CorruptStream(f"checksum of tile {tile}", start, f"{checksum:#010x}", f"{found:#010x}")
    return stream
