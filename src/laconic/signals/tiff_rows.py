"""Reading TIFF row by row: strips or tiles of 8- or 16-bit samples, as they are or compressed by Deflate (TIFF 6.0).

These are the files that programs for large pictures write. Other compressions, planes, palettes, other depths, white
as zero and premultiplied colors are left to Pillow, which also reads the directory and the metadata here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from laconic.errors import UnsupportedInput
from laconic.signals import limits
from laconic.signals.rows import AbstractRowReader, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["look"]

_PLAIN, _DEFLATE = 1, (8, 32946)
_TALLEST = 1 << 12
"""Rows of the tallest tile: a row of tiles is unpacked at once."""
_BLOCK = 1 << 16


@dataclass(frozen=True)
class _Layout:
    """How the pixels lie; a strip is a tile as wide as the picture."""

    width: int
    height: int
    channels: int
    stored: Any
    tile_width: int
    tile_height: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    packed: bool
    differences: bool

    @property
    def across(self) -> int:
        """Tiles side by side."""
        return -(-self.width // self.tile_width)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of a tile."""
        return self.tile_width * self.channels * self.stored.itemsize


def look(reopen: Callable[[], BinaryIO]) -> RowSource | None:
    """Read the first directory; None where Pillow must read the file.

    Raises
    ------
    UnsupportedInput
        The file ends before its pixels do.
    LimitExceeded
        More pixels than laconic holds.
    """
    from laconic.signals.pillow import describe_tiff

    with reopen() as stream:
        tags, order, metadata, notes = describe_tiff(stream)
        size = stream.seek(0, 2)
    layout = _layout(tags, "<" if order == b"II" else ">")
    if layout is None:
        return None
    limits.check_size(layout.width, layout.height)
    count = layout.across * -(-layout.height // layout.tile_height)
    if len(layout.offsets) < count or len(layout.sizes) < count:
        raise UnsupportedInput(f"{len(layout.offsets)} strips or tiles are named, {count} are needed")
    ends = [offset + length for offset, length in zip(layout.offsets, layout.sizes, strict=False)]
    if max(ends) > size:
        raise UnsupportedInput(f"truncated: pixels up to byte {max(ends)} are named, the file has {size}")
    dtype = np.uint8 if layout.stored.itemsize == 1 else np.uint16
    kind = _Tiles if layout.tile_width < layout.width or 322 in tags else _Strips
    return RowSource(
        layout.height, layout.width, layout.channels, dtype, lambda: kind(reopen(), layout), *metadata, notes
    )


def _layout(tags: dict[int, Any], order: str) -> _Layout | None:
    def number(tag: int, default: int) -> int:
        value: Any = tags.get(tag, default)
        return int(cast("tuple[int, ...]", value)[0] if isinstance(value, tuple) else value)

    def numbers(tag: int) -> tuple[int, ...]:
        value: Any = tags.get(tag, ())
        return cast("tuple[int, ...]", value) if isinstance(value, tuple) else (int(value),)

    channels = number(277, 1)
    depths = set(numbers(258))
    colors, alpha = (3, 4) if number(262, -1) == 2 else (1, 2)
    compression, predictor = number(259, _PLAIN), number(317, 1)
    usual = (
        number(262, -1) in {1, 2}
        and ((channels == colors and 338 not in tags) or (channels == alpha and numbers(338) == (2,)))
        and depths in ({8}, {16})
        and not (channels == 2 and depths == {16})
        and set(numbers(339)) <= {1}
        and (compression == _PLAIN or compression in _DEFLATE)
        and predictor in {1, 2}
        and number(284, 1) == number(266, 1) == number(274, 1) == 1
    )
    if not usual:
        return None
    width, height = number(256, 0), number(257, 0)
    tiled = 322 in tags
    tile_width, tile_height = (number(322, 0), number(323, 0)) if tiled else (width, min(height, number(278, height)))
    if tile_width < 1 or tile_height < 1 or (tiled and (tile_height > _TALLEST or tile_width > width + _TALLEST)):
        return None
    return _Layout(
        width=width,
        height=height,
        channels=channels,
        stored=np.dtype(f"{order}u{depths.pop() // 8}"),
        tile_width=tile_width,
        tile_height=tile_height,
        offsets=numbers(324 if tiled else 273),
        sizes=numbers(325 if tiled else 279),
        packed=compression != _PLAIN,
        differences=predictor == 2 and compression != _PLAIN,  # without compression libtiff ignores it
    )


class _Rows(AbstractRowReader):
    def __init__(self, stream: BinaryIO, layout: _Layout) -> None:
        self._stream, self._layout = stream, layout
        self._row: int = 0

    def close(self) -> None:
        self._stream.close()

    def _samples(self, data: bytearray, width: int) -> NDArray[Any]:
        layout = self._layout
        rows = np.frombuffer(data, layout.stored).reshape(-1, width, layout.channels)
        rows = rows.astype(layout.stored.newbyteorder("="), copy=False)
        return np.add.accumulate(rows, axis=1, dtype=rows.dtype) if layout.differences else rows


class _Strips(_Rows):
    """Strips, which may be as tall as the picture: each is unpacked only as far as rows are asked for."""

    def __init__(self, stream: BinaryIO, layout: _Layout) -> None:
        super().__init__(stream, layout)
        self._unpacker: Any = None
        self._left = 0  # packed bytes of the strip that have not been read

    def read(self, count: int) -> NDArray[Any]:
        layout = self._layout
        data = bytearray()
        for _ in range(count):
            strip, row = divmod(self._row, layout.tile_height)
            if row == 0:
                self._stream.seek(layout.offsets[strip])
                self._left = layout.sizes[strip]
                self._unpacker = zlib.decompressobj()
            data += self._take(layout.row_bytes)
            self._row += 1
        return self._samples(data, layout.width)

    def _take(self, size: int) -> bytes:
        """The next `size` bytes of the strip, unpacked."""
        found = b""
        if not self._layout.packed:
            found = self._stream.read(min(size, self._left))
            self._left -= len(found)
        while self._layout.packed and len(found) < size and not self._unpacker.eof:
            block = self._unpacker.unconsumed_tail or self._stream.read(min(_BLOCK, self._left))
            if not self._unpacker.unconsumed_tail:
                self._left -= len(block)
            if not block:
                break
            found += self._unpacker.decompress(block, size - len(found))
        if len(found) < size:
            raise UnsupportedInput(f"truncated: a strip ends in row {self._row}")
        return found


class _Tiles(_Rows):
    """Tiles: a whole row of them is unpacked at a time."""

    def __init__(self, stream: BinaryIO, layout: _Layout) -> None:
        super().__init__(stream, layout)
        self._band: NDArray[Any] = np.empty((0, layout.width, layout.channels), layout.stored.newbyteorder("="))
        self._top = 0  # the row that the band begins with

    def read(self, count: int) -> NDArray[Any]:
        layout = self._layout
        rows = np.empty((count, layout.width, layout.channels), self._band.dtype)
        filled = 0
        while filled < count:
            if self._row >= self._top + len(self._band):
                self._top = self._row
                self._band = self._unpack(self._row // layout.tile_height)
            start = self._row - self._top
            part = self._band[start : start + count - filled]
            rows[filled : filled + len(part)] = part
            filled += len(part)
            self._row += len(part)
        return rows

    def _unpack(self, number: int) -> NDArray[Any]:
        layout = self._layout
        band = np.empty((layout.tile_height, layout.width, layout.channels), self._band.dtype)
        size = layout.tile_height * layout.row_bytes
        for column in range(layout.across):
            tile = number * layout.across + column
            self._stream.seek(layout.offsets[tile])
            data = self._stream.read(min(layout.sizes[tile], size + _BLOCK))
            if layout.packed:
                data = zlib.decompressobj().decompress(data, size)
            if len(data) < size:
                raise UnsupportedInput(f"truncated: tile {tile} has {len(data)} of {size} bytes")
            left = column * layout.tile_width
            samples = self._samples(bytearray(data[:size]), layout.tile_width)
            band[:, left : left + layout.tile_width] = samples[:, : layout.width - left]
        return band[: layout.height - number * layout.tile_height]
