"""Writing TIFF row by row, with 8- or 16-bit samples and all metadata (TIFF 6.0; Deflate from Technical Note 2).

Pillow cannot write 16-bit color. The file is one image in strips, compressed by Deflate after horizontal differencing.
EXIF is itself a TIFF structure with absolute offsets. It is put at the very start of the file, so all its offsets stay
true; only its first directory is written anew, with the tags of the pixels merged in, and the header points there.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np

from laconic.errors import UsageError
from laconic.signals.rows import AbstractRowWriter, one_by_one

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from laconic.signals.rows import Each

__all__ = ["TiffWriter"]

_SHORT, _LONG, _UNDEFINED, _BYTE = 3, 4, 7, 1
_XMP, _ICC = 700, 34675
# Tags that describe stored pixels; those of an EXIF directory (of a thumbnail or of the camera's file) must not stay.
_PIXEL_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 330, 338}
    | {339, 347, 513, 514, 529, 530, 531, 532, _XMP, _ICC}
)
_STRIP = 1 << 18
_BATCH = 64
"""Strips in work at once."""
_LIMIT = (1 << 32) - 1


class TiffWriter(AbstractRowWriter):
    """A TIFF file in the making.

    16-bit gray with alpha is written as RGB with alpha: hardly any program reads the former.

    Parameters
    ----------
    stream : binary file
        Seekable.
    shape : (height, width, channels)
        1 to 4 channels.
    dtype : numpy type
        uint8 or uint16.
    icc, exif, xmp : bytes, optional
    each : callable, optional
        Shares the strips among threads.

    Raises
    ------
    UsageError
        The file would be larger than TIFF's 4 GB.
    """

    def __init__(
        self,
        stream: BinaryIO,
        shape: tuple[int, int, int],
        dtype: Any,
        *,
        icc: bytes | None = None,
        exif: bytes | None = None,
        xmp: bytes | None = None,
        each: Each = one_by_one,
    ) -> None:
        self._height, self._width, self._channels = shape
        self._item = np.dtype(dtype).itemsize
        self._spread = self._channels == 2 and self._item == 2
        self._channels = 4 if self._spread else self._channels
        self._stream, self._icc, self._xmp = stream, icc, xmp
        self._each = each
        self._order: Literal["<", ">"] = ">" if exif and exif[:2] == b"MM" else "<"
        self._inherited = list(_descriptive_entries(exif, self._order)) if exif else []
        start = (b"II" if self._order == "<" else b"MM") + struct.pack(self._order + "HI", 42, 0)
        self._position = 0
        self._append(exif if exif and self._inherited else start)
        self._rows = max(1, _STRIP // max(1, self._width * self._channels * self._item))  # in a strip
        self._waiting = np.empty((0, self._width, self._channels), dtype)
        self._offsets: list[int] = []
        self._sizes: list[int] = []

    def write(self, rows: NDArray[Any]) -> None:
        """See `AbstractRowWriter.write`."""
        for top in range(0, len(rows), _BATCH * self._rows):
            part = rows[top : top + _BATCH * self._rows]
            part = part[..., [0, 0, 0, 1]] if self._spread else part
            waiting = np.concatenate([self._waiting, part]) if len(self._waiting) else part
            whole = len(waiting) // self._rows * self._rows
            self._pack(waiting[:whole])
            self._waiting = waiting[whole:].copy()

    def finish(self) -> None:
        """See `AbstractRowWriter.finish`."""
        self._pack(self._waiting)
        order = self._order
        entries: dict[int, bytes] = {}

        def tag(number: int, kind: int, values: list[int] | bytes) -> None:
            letter = {_SHORT: "H", _LONG: "I"}.get(kind)
            data = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{letter}", *values)
            stored = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", self._append(data))
            entries[number] = struct.pack(order + "HHI", number, kind, len(values)) + stored

        tag(256, _LONG, [self._width])
        tag(257, _LONG, [self._height])
        tag(258, _SHORT, [8 * self._item] * self._channels)
        tag(259, _SHORT, [8])  # Deflate
        tag(262, _SHORT, [2 if self._channels >= 3 else 1])
        tag(273, _LONG, self._offsets)
        tag(277, _SHORT, [self._channels])
        tag(278, _LONG, [self._rows])
        tag(279, _LONG, self._sizes)
        tag(284, _SHORT, [1])  # samples of a pixel stand together
        tag(317, _SHORT, [2])  # horizontal differences
        if self._channels in {2, 4}:
            tag(338, _SHORT, [2])  # the extra sample is alpha, not multiplied into the colors
        if self._xmp:
            tag(_XMP, _BYTE, self._xmp)
        if self._icc:
            tag(_ICC, _UNDEFINED, self._icc)
        for number, entry in self._inherited:
            entries.setdefault(number, entry)
        directory = self._append(
            struct.pack(order + "H", len(entries)) + b"".join(entries[number] for number in sorted(entries)) + bytes(4)
        )
        self._stream.seek(4)
        self._stream.write(struct.pack(order + "I", directory))
        self._stream.seek(0, 2)

    def _pack(self, rows: NDArray[Any]) -> None:
        """Compress and write rows, in strips."""

        def packed(top: int) -> bytes:
            return zlib.compress(_differences(rows[top : top + self._rows], self._order), 4)

        for strip in self._each(packed, range(0, len(rows), self._rows)):
            self._offsets.append(self._append(strip))
            self._sizes.append(len(strip))

    def _append(self, data: bytes) -> int:
        """Write at an even place and return it."""
        place = self._position
        if place + len(data) > _LIMIT:
            raise UsageError("the picture is too large for TIFF (4 GB); write .png or .pam")
        self._stream.write(data)
        self._stream.write(b"\0" * (len(data) % 2))
        self._position += len(data) + len(data) % 2
        return place


def _differences(strip: NDArray[Any], order: Literal["<", ">"]) -> bytes:
    """Each sample minus the same sample of the pixel to its left (predictor 2), in the byte order of the file."""
    different = strip.copy()
    different[:, 1:] -= strip[:, :-1]
    return different.astype(strip.dtype.newbyteorder(order), copy=False).tobytes()


def _descriptive_entries(exif: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The entries of the first EXIF directory that describe the photo; none where the bytes make no sense."""
    if len(exif) < 8 or len(exif) % 2:
        exif += b"\0"
    (first,) = struct.unpack_from(order + "I", exif, 4)
    if first + 2 > len(exif):
        return
    (count,) = struct.unpack_from(order + "H", exif, first)
    for place in range(first + 2, min(first + 2 + 12 * count, len(exif) - 11), 12):
        (number,) = struct.unpack_from(order + "H", exif, place)
        if number not in _PIXEL_TAGS:
            yield number, exif[place : place + 12]
