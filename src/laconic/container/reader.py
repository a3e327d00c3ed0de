"""The bytes of a `.lac` file -> header, streams and metadata, all of them checked.

The header says which chunks follow, so the reader knows at each byte what it must find there: a chunk that is missing,
repeated, unknown or out of order is damage, and so is a byte after the last one. Streams are views, nothing is copied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from laconic.container.chunks import Chunk, Tag, checksum
from laconic.container.cursor import Cursor
from laconic.container.fields import read_header
from laconic.container.layout import TileGrid, groups
from laconic.container.metadata import Metadata, read_metadata
from laconic.container.segments import read_segments, salvage_segments
from laconic.container.writer import MAGIC, VERSION
from laconic.errors import CorruptStream, FormatError, NewerVersion, NotLaconic, TruncatedStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from laconic.container.fields import Header

__all__ = ["Container", "Loss", "read"]


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
    """
    cursor = Cursor(memoryview(data).cast("B"), whole_file=True)
    _read_start(cursor)
    first, wrong = _read_chunk(cursor, Tag.HEADER, "header")
    if wrong:
        raise wrong
    header = read_header(first.payload, offset=first.payload_offset)
    tiles = TileGrid.of(header).count
    chunks = [first]
    segments: list[tuple[memoryview | None, ...]] = []
    metadata: dict[str, bytes] = {}
    losses: list[Loss] = []

    def lose(part: str, tile: int | None, error: FormatError) -> None:
        if not allow_partial:
            raise error
        losses.append(Loss(part, tile, error))

    for tag, name in _expected(header):
        try:
            chunk, wrong = _read_chunk(cursor, tag, name)
            chunks.append(chunk)
            if wrong and not allow_partial:
                raise wrong
            if tag is Tag.SEGMENTS:
                streams = _streams(chunk, tiles)
                if wrong and not any(isinstance(stream, memoryview) for stream in streams):
                    raise wrong
                for tile, stream in enumerate(streams):
                    if isinstance(stream, FormatError):
                        lose(name, tile, stream)
                segments.append(tuple(stream if isinstance(stream, memoryview) else None for stream in streams))
            elif chunk.intact:
                metadata[name] = read_metadata(chunk.payload, name, offset=chunk.payload_offset)
            elif wrong:
                raise wrong
        except FormatError as error:
            lose(name, None, error)
            if tag is Tag.SEGMENTS:
                segments.append((None,) * tiles)
    try:
        cursor.finish("end of file")
    except FormatError as error:
        lose("file", None, error)
    return Container(
        VERSION, header, tuple(segments), Metadata(**metadata), tuple(chunks), tuple(losses), len(cursor.data)
    )


def _read_start(cursor: Cursor) -> None:
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


def _read_chunk(cursor: Cursor, tag: Tag, name: str) -> tuple[Chunk, FormatError | None]:
    """Read the chunk that must stand here, and say what is wrong with it.

    A chunk whose checksum fits the expected tag is intact even if its own tag was hit. What cannot be framed is raised.
    """
    start = cursor.at
    found_tag = cursor.u8(f"{name} tag")
    length = cursor.varint(f"{name} length")
    expected_sum = cursor.u32(f"{name} checksum")
    body = cursor.at
    payload = cursor.take(min(length, cursor.left), name)
    found_sum = checksum(tag, payload)
    intact = len(payload) == length and found_sum == expected_sum
    wrong: FormatError | None = None
    if found_tag != tag:
        wrong = CorruptStream(f"{name} tag", start, f"{tag:#04x}", f"{found_tag:#04x}")
    elif len(payload) < length:
        wrong = TruncatedStream(name, body, f"{length} bytes", len(payload))
    elif not intact:
        wrong = CorruptStream(f"{name} checksum", body - 4, f"{expected_sum:#010x}", f"{found_sum:#010x}")
    return Chunk(tag, start, cursor.at - start, payload, intact), wrong


def _streams(chunk: Chunk, tiles: int) -> Sequence[memoryview | CorruptStream]:
    if chunk.intact:
        return read_segments(chunk.payload, tiles, offset=chunk.payload_offset)
    return salvage_segments(chunk.payload, tiles, offset=chunk.payload_offset)
