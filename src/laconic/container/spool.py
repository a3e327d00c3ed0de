"""The streams of a large picture, on disk until all are there: then a `.lac` file is written without holding it.

Tiles are coded one after the other, each into streams of all resolution groups, but a file holds one group after the
other, each behind a table of all its streams and a checksum of everything. So the streams wait in a temporary file.
"""

from __future__ import annotations

import threading
import zlib
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from laconic.container.chunks import Chunk, Tag, checksum, head
from laconic.container.layout import TileGrid, groups
from laconic.container.metadata import Metadata
from laconic.container.segments import table_row
from laconic.container.writer import MAGIC, VERSION, surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from laconic.container.fields import Header
    from laconic.transform.picture_filter import Filter

__all__ = ["Spool"]


class Spool:
    """A file in the making; to be used in a `with`, which removes what is on disk.

    Parameters
    ----------
    header : Header
    metadata : Metadata, optional
    folder : str, optional
        Where the temporary file lies (without a name, where the system allows that); None is the system's folder.

    Raises
    ------
    UnsupportedInput
        Metadata beyond the limit.
    """

    def __init__(self, header: Header, metadata: Metadata | None = None, *, folder: str | None = None) -> None:
        import tempfile  # a module that is slow to load and that small pictures do without

        self.header = header
        self._metadata = metadata or Metadata()
        self._before, self._after = surroundings(header, self._metadata)
        self._count = TileGrid.of(header).count
        self._places: list[int] = []
        self._lengths: list[list[int]] = [[] for _ in groups(header.cuts)]
        self._tables = [bytearray() for _ in groups(header.cuts)]
        self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=folder))  # noqa: SIM115  # closed by `__exit__`
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take_filter(self, own: Filter | None) -> None:
        """Put a filter at the end of the header, or none."""
        self.header = self.header.with_filter(own)
        self._before, self._after = surroundings(self.header, self._metadata)

    def add(self, streams: Sequence[bytes]) -> None:
        """Take the streams of the next tile, one for each resolution group, coarse to fine."""
        tile = len(self._lengths[0])
        assert tile < self._count
        self._places.append(self._file.seek(0, 2))
        for group, stream in enumerate(streams):
            self._lengths[group].append(len(stream))
            if self._count > 1:  # a tile that is alone needs no table
                self._tables[group] += table_row(len(self._before) + group, tile, stream)
            self._file.write(stream)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        lengths = [len(table) + sum(sizes) for table, sizes in zip(self._tables, self._lengths, strict=True)]
        payloads = [len(payload) for _, payload in self._before + self._after] + lengths
        return len(MAGIC) + 1 + sum(length + len(head(Tag.SEGMENTS, length, 0)) for length in payloads)

    def write(self, sink: BinaryIO) -> tuple[Chunk, ...]:
        """Write the whole file, the same bytes as `writer.write`.

        Returns
        -------
        tuple of Chunk
            Where the chunks stand; their payloads are left out.
        """
        assert len(self._lengths[0]) == self._count
        sink.write(MAGIC + bytes([VERSION]))
        offset = len(MAGIC) + 1
        chunks: list[Chunk] = []

        def begin(tag: Tag, length: int, found: int) -> None:
            nonlocal offset
            start = head(tag, length, found)
            sink.write(start)
            chunks.append(Chunk(tag, offset, len(start) + length, memoryview(b"")))
            offset += len(start) + length

        for number, (tag, payload) in enumerate(self._before):
            begin(tag, len(payload), checksum(tag, number, payload))
            sink.write(payload)
        for group, table in enumerate(self._tables):
            found = checksum(Tag.SEGMENTS, len(self._before) + group, bytes(table))
            for stream in self._group(group):
                found = zlib.crc32(stream, found)
            begin(Tag.SEGMENTS, len(table) + sum(self._lengths[group]), found)
            sink.write(table)
            for stream in self._group(group):
                sink.write(stream)
        for number, (tag, payload) in enumerate(self._after, start=len(self._before) + len(self._tables)):
            begin(tag, len(payload), checksum(tag, number, payload))
            sink.write(payload)
        return tuple(chunks)

    def streams(self, tile: int) -> list[bytes]:
        """Read the streams of a tile back; threads may do so at once."""
        return [self._read(group, tile) for group in range(len(self._tables))]

    def _group(self, group: int) -> Iterator[bytes]:
        """Yield the streams of a group, tile by tile."""
        return (self._read(group, tile) for tile in range(self._count))

    def _read(self, group: int, tile: int) -> bytes:
        place = self._places[tile] + sum(lengths[tile] for lengths in self._lengths[:group])
        with self._lock:
            self._file.seek(place)
            return self._file.read(self._lengths[group][tile])
