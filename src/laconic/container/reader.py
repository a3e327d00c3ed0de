"""The bytes of a `.lac` file -> header, streams and metadata, all of them checked.

The header says which chunks follow, so the reader knows at each byte what it must find there: a chunk that is missing,
repeated, unknown or out of order is damage, and so is a byte after the last one. Streams are views, nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from laconic.container.chunks import Chunk, Tag, unframe
from laconic.container.cursor import Cursor
from laconic.container.fields import read_header
from laconic.container.layout import TileGrid, groups
from laconic.container.metadata import Metadata, read_metadata
from laconic.container.segments import read_segments, salvage_segments
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream, FormatError, NewerVersion, NotLaconic, UnsupportedInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laconic.container.fields import Header

__all__ = ["ARRAY_CODEC", "Container", "Loss", "read", "read_start"]

ARRAY_CODEC = 2
"""The codec whose files `container/arrays.py` reads."""


@dataclass(frozen=True)
class Loss:
    """A part of a damaged file that could not be restored.

    `part` is the name of a chunk ("segments 2", "icc"), `tile` the tile in it or None for all of it, and `error` says
    why.
    """

    part: str
    tile: int | None
    error: FormatError


@dataclass(frozen=True)
class Container:
    """A file that has been read.

    `segments[g][t]` is the stream of group g and tile t, None where it was lost (only with ``allow_partial=True``).
    `chunks` lists what the file holds, in order, with place and size in bytes; `losses` what it should hold and does
    not.
    """

    version: int
    header: Header
    segments: tuple[tuple[memoryview | None, ...], ...]
    metadata: Metadata
    chunks: tuple[Chunk, ...]
    losses: tuple[Loss, ...]
    size: int


def read(data: bytes | bytearray | memoryview, *, allow_partial: bool = False) -> Container:
    """Read a whole file.

    Parameters
    ----------
    data : bytes-like
        The file. Streams in the result are views into it.
    allow_partial : bool
        Keep what is intact of a damaged or truncated file and list the rest in `losses`. The start of the file up to
        the end of the header must be intact in any case.

    Raises
    ------
    NotLaconic, NewerVersion, CorruptStream, TruncatedStream, LimitExceeded
        As their names say.
    UnsupportedInput
        The file holds arrays (codec 2).
    """
    cursor = Cursor(memoryview(data).cast("B"), whole_file=True)
    read_start(cursor)
    first, wrong = unframe(cursor, Tag.HEADER, 0, "header")
    if wrong:
        raise wrong
    if bytes(first.payload[:1]) == bytes([ARRAY_CODEC]):
        raise UnsupportedInput("the file holds weights or arrays, not a picture: see `laconic expand` and lac.weights")
    header = read_header(first.payload, offset=first.payload_offset)
    parts = _read_partial(cursor, header) if allow_partial else _read_all(cursor, header)
    return Container(
        version=VERSION,
        header=header,
        segments=tuple(parts.segments),
        metadata=Metadata(**parts.metadata),
        chunks=(first, *parts.chunks),
        losses=tuple(parts.losses),
        size=len(cursor.data),
    )


@dataclass
class _Parts:
    """What follows the header."""

    chunks: list[Chunk] = field(default_factory=list[Chunk])
    segments: list[tuple[memoryview | None, ...]] = field(default_factory=list[tuple[memoryview | None, ...]])
    metadata: dict[str, bytes] = field(default_factory=dict[str, bytes])
    losses: list[Loss] = field(default_factory=list[Loss])


def _read_all(cursor: Cursor, header: Header) -> _Parts:
    """Read everything after the header; the first thing that is wrong ends it."""
    parts = _Parts()
    tiles = TileGrid.of(header).count
    for number, (tag, name) in enumerate(_expected(header), start=1):
        chunk, wrong = unframe(cursor, tag, number, name)
        if wrong:
            raise wrong
        parts.chunks.append(chunk)
        if tag is Tag.SEGMENTS:
            parts.segments.append(read_segments(chunk.payload, tiles, number, offset=chunk.payload_offset))
        else:
            parts.metadata[name] = read_metadata(chunk.payload, name, offset=chunk.payload_offset)
    cursor.finish("end of file")
    return parts


def _read_partial(cursor: Cursor, header: Header) -> _Parts:
    """Read what is intact after the header, and note what is not."""
    parts = _Parts()
    tiles = TileGrid.of(header).count
    for number, (tag, name) in enumerate(_expected(header), start=1):
        streams: list[memoryview | None] = [None] * tiles if tag is Tag.SEGMENTS else []
        try:
            chunk, wrong = unframe(cursor, tag, number, name)
            parts.chunks.append(chunk)
            if tag is Tag.SEGMENTS and chunk.intact:
                streams = list(read_segments(chunk.payload, tiles, number, offset=chunk.payload_offset))
            elif tag is Tag.SEGMENTS and tiles > 1:
                saved = salvage_segments(chunk.payload, tiles, number, offset=chunk.payload_offset)
                if wrong and all(isinstance(stream, FormatError) for stream in saved):
                    raise wrong
                for tile, stream in enumerate(saved):
                    if isinstance(stream, FormatError):
                        parts.losses.append(Loss(name, tile, stream))
                    else:
                        streams[tile] = stream
            elif chunk.intact:
                parts.metadata[name] = read_metadata(chunk.payload, name, offset=chunk.payload_offset)
            elif wrong:
                raise wrong
        except FormatError as error:
            parts.losses.append(Loss(name, None, error))
        if tag is Tag.SEGMENTS:
            parts.segments.append(tuple(streams))
    try:
        cursor.finish("end of file")
    except CorruptStream as error:
        parts.losses.append(Loss("end of file", None, error))
    return parts


def read_start(cursor: Cursor) -> None:
    """Read magic number and version."""
    start = bytes(cursor.data[: len(MAGIC)])
    if start != MAGIC[: len(start)]:
        raise NotLaconic(bytes(cursor.data[:8]))
    cursor.take(len(MAGIC), "magic")
    version = cursor.u8("version")
    if version > VERSION:
        raise NewerVersion(version, VERSION)
    if version != VERSION:
        raise CorruptStream("version", len(MAGIC), VERSION, version)


def _expected(header: Header) -> Iterator[tuple[Tag, str]]:
    """List the chunks that must follow the header, in order."""
    if header.has_icc:
        yield Tag.ICC, "icc"
    for group in range(len(groups(header.cuts))):
        yield Tag.SEGMENTS, f"segments {group}"
    if header.has_exif:
        yield Tag.EXIF, "exif"
    if header.has_xmp:
        yield Tag.XMP, "xmp"
