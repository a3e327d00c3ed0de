"""Reading PNG row by row (PNG specification, third edition): 8 or 16 bits, gray or color, with alpha or without.

Palettes, fewer bits, a transparent color, interlacing and animations are left to Pillow. All chunks are found before
the first row is read, so metadata behind the pixels are known in time and a file without an end is refused at once.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from laconic import _native
from laconic.errors import UnsupportedInput
from laconic.signals import formats, limits
from laconic.signals.exif import bare
from laconic.signals.rows import AbstractRowReader, RowSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["look"]

_CHANNELS = {0: 1, 4: 2, 2: 3, 6: 4}
_KNOWN = {b"IHDR", b"IDAT", b"IEND", b"PLTE"}
_LEFT_TO_PILLOW = {b"tRNS", b"acTL"}
_PROFILE = 16 << 20  # bytes of the largest metadata that are unpacked: no file holds more
_BLOCK = 1 << 16


@dataclass
class _Layout:
    """Where things are."""

    width: int = 0
    height: int = 0
    channels: int = 0
    depth: int = 0
    first: int = 0  # the first IDAT chunk
    found: dict[str, bytes] = field(default_factory=dict[str, bytes])


def look(reopen: Callable[[], BinaryIO]) -> RowSource | None:
    """Find all chunks; None where Pillow must read the file.

    Raises
    ------
    UnsupportedInput
        The file ends too early, or announces more pixels than it can hold.
    LimitExceeded
        More pixels than laconic holds.
    """
    with reopen() as stream:
        layout = _scan(stream)
        size = stream.seek(0, 2)
    if layout is None:
        return None
    limits.check_size(layout.width, layout.height)
    limits.check_density(layout.width * layout.height, size, formats.by_name("png").densest)
    return RowSource(
        layout.height,
        layout.width,
        layout.channels,
        np.uint8 if layout.depth == 8 else np.uint16,
        lambda: _PngRows(reopen(), layout),
        layout.found.get("icc") or None,
        bare(layout.found.get("exif")),
        layout.found.get("xmp") or None,
    )


def _scan(stream: BinaryIO) -> _Layout | None:
    """Walk over the chunks without reading the pixels."""
    stream.seek(8)
    layout = _Layout()
    while True:
        place = stream.tell()
        head = stream.read(8)
        if len(head) < 8 or (head[4:] == b"IEND" and len(stream.read(4)) < 4):
            raise UnsupportedInput("truncated: the end of the last chunk is missing")
        length, kind = struct.unpack(">I4s", head)
        if kind in _LEFT_TO_PILLOW or (kind not in _KNOWN and not kind[0] & 0x20):
            return None
        if kind == b"IHDR":
            width, height, depth, color, _, _, interlaced = struct.unpack(">IIBBBBB", stream.read(13))
            if depth not in {8, 16} or color not in _CHANNELS or interlaced:
                return None
            layout.width, layout.height, layout.channels, layout.depth = width, height, _CHANNELS[color], depth
        elif kind in {b"iCCP", b"eXIf", b"iTXt"} and length <= _PROFILE:
            _keep(layout.found, kind, stream.read(length))
        elif kind == b"IDAT" and not layout.first:
            layout.first = place
        elif kind == b"IEND":
            break
        stream.seek(place + 12 + length)
    if not layout.first or not layout.width:
        raise UnsupportedInput("no pixels are there")
    return layout


def _keep(found: dict[str, bytes], kind: bytes, payload: bytes) -> None:
    """Take metadata out of a chunk; what makes no sense is left out, as Pillow does."""
    if kind == b"eXIf":
        found["exif"] = payload
        return
    keyword, _, rest = payload.partition(b"\0")
    if kind == b"iCCP":
        found["icc"] = _unpacked(rest[1:])
    elif keyword == b"XML:com.adobe.xmp" and len(rest) >= 2:
        text = rest[2:].split(b"\0", 2)[-1]
        found["xmp"] = _unpacked(text) if rest[0] else text


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _PROFILE)
    except zlib.error:
        return b""


class _PngRows(AbstractRowReader):
    """The data of the IDAT chunks, unpacked and unfiltered as far as asked for."""

    def __init__(self, stream: BinaryIO, layout: _Layout) -> None:
        stream.seek(layout.first)
        self._stream = stream
        self._width, self._channels = layout.width, layout.channels
        self._deep = layout.depth == 16
        self._step = layout.channels * layout.depth // 8
        self._length = layout.width * self._step
        self._above = np.zeros(self._length, np.uint8)
        self._left = layout.height
        self._unpacker = zlib.decompressobj()
        self._chunk_left, self._check = -1, 0

    def read(self, count: int) -> NDArray[Any]:
        """See `AbstractRowReader.read`."""
        filtered = np.empty((count, self._length + 1), np.uint8)
        self._unpack(filtered.data.cast("B"))
        rows = np.empty((count, self._length), np.uint8)
        wrong = _native.png_unfilter(filtered, self._above, rows, self._step)
        if wrong >= 0:
            raise UnsupportedInput(f"a row has filter {filtered[wrong, 0]}, expected 0 to 4")
        self._above = rows[-1].copy()
        self._left -= count
        if self._left == 0:
            while self._block():  # the checksum of the last chunk
                pass
        if self._deep:
            return rows.view(">u2").astype(np.uint16).reshape(count, self._width, self._channels)
        return rows.reshape(count, self._width, self._channels)

    def close(self) -> None:
        """See `AbstractRowReader.close`."""
        self._stream.close()

    def _unpack(self, to: memoryview) -> None:
        """Fill `to`, never unpacking more than that."""
        at = 0
        packed = self._unpacker.unconsumed_tail
        while at < len(to):
            if (not packed and not (packed := self._block())) or self._unpacker.eof:
                raise UnsupportedInput("truncated: rows of pixels are missing")
            data = self._unpacker.decompress(packed, len(to) - at)
            to[at : at + len(data)] = data
            at += len(data)
            packed = self._unpacker.unconsumed_tail

    def _block(self) -> bytes:
        """Return the next bytes of the IDAT chunks, empty at their end; every checksum is checked."""
        while self._chunk_left <= 0:
            if self._chunk_left == 0:
                (expected,) = struct.unpack(">I", self._stream.read(4))
                if expected != self._check:
                    raise UnsupportedInput("damaged: the checksum of a chunk of pixels fails")
            length, kind = struct.unpack(">I4s", self._stream.read(8))
            if kind != b"IDAT":
                self._stream.seek(-8, 1)
                self._chunk_left = -1
                return b""
            self._chunk_left, self._check = length, zlib.crc32(kind)
        data = self._stream.read(min(self._chunk_left, _BLOCK))
        if not data:
            raise UnsupportedInput("truncated: a chunk of pixels ends too early")
        self._chunk_left -= len(data)
        self._check = zlib.crc32(data, self._check)
        return data
