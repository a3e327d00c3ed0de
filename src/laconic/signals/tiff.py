"""Writing TIFF with 8- or 16-bit samples and all metadata (TIFF 6.0; Deflate from Technical Note 2).

Pillow cannot write 16-bit color. The file is one image in strips, compressed by Deflate after horizontal differencing.
EXIF is itself a TIFF structure with absolute offsets. It is put at the very start of the file, so all its offsets stay
true; only its first directory is written anew, with the tags of the pixels merged in, and the header points there.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from laconic.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["save_tiff"]

_SHORT, _LONG, _UNDEFINED, _BYTE = 3, 4, 7, 1
_XMP, _ICC = 700, 34675
# Tags that describe stored pixels; those of an EXIF directory (of a thumbnail or of the camera's file) must not stay.
_PIXEL_TAGS = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 330, 338}
    | {339, 347, 513, 514, 529, 530, 531, 532, _XMP, _ICC}
)
_STRIP = 1 << 18
_LIMIT = (1 << 32) - 1


def save_tiff(
    stream: BinaryIO,
    pixels: NDArray[Any],
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> None:
    """Write pixels (H, W, C) uint8 or uint16, C = 1..4, as a TIFF file with their metadata.

    16-bit gray with alpha is written as RGB with alpha: hardly any program reads the former.

    Raises
    ------
    UsageError
        The file would be larger than TIFF's 4 GB.
    """
    if pixels.shape[2] == 2 and pixels.itemsize == 2:
        pixels = pixels[..., [0, 0, 0, 1]]
    height, width, channels = pixels.shape
    order: Literal["<", ">"] = ">" if exif and exif[:2] == b"MM" else "<"
    inherited = list(_descriptive_entries(exif, order)) if exif else []
    head = exif if exif and inherited else (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0)
    stream.write(head + b"\0" * (len(head) % 2))
    position = len(head) + len(head) % 2

    def append(data: bytes) -> int:
        nonlocal position
        place = position
        if place + len(data) > _LIMIT:
            raise UsageError("the picture is too large for TIFF (4 GB); write .png or .pam")
        stream.write(data)
        stream.write(b"\0" * (len(data) % 2))
        position += len(data) + len(data) % 2
        return place

    rows = max(1, _STRIP // max(1, width * channels * pixels.itemsize))
    offsets: list[int] = []
    sizes: list[int] = []
    for top in range(0, height, rows):
        strip = zlib.compress(_differences(pixels[top : top + rows], order), 4)
        offsets.append(append(strip))
        sizes.append(len(strip))

    entries: dict[int, bytes] = {}

    def tag(number: int, kind: int, values: list[int] | bytes) -> None:
        letter = {_SHORT: "H", _LONG: "I"}.get(kind)
        data = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{letter}", *values)
        stored = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", append(data))
        entries[number] = struct.pack(order + "HHI", number, kind, len(values)) + stored

    bits = 8 * pixels.itemsize
    tag(256, _LONG, [width])
    tag(257, _LONG, [height])
    tag(258, _SHORT, [bits] * channels)
    tag(259, _SHORT, [8])  # Deflate
    tag(262, _SHORT, [2 if channels >= 3 else 1])
    tag(273, _LONG, offsets)
    tag(277, _SHORT, [channels])
    tag(278, _LONG, [rows])
    tag(279, _LONG, sizes)
    tag(284, _SHORT, [1])  # samples of a pixel stand together
    tag(317, _SHORT, [2])  # horizontal differences
    if channels in {2, 4}:
        tag(338, _SHORT, [2])  # the extra sample is alpha, not multiplied into the colors
    if xmp:
        tag(_XMP, _BYTE, xmp)
    if icc:
        tag(_ICC, _UNDEFINED, icc)
    for number, entry in inherited:
        entries.setdefault(number, entry)
    directory = append(
        struct.pack(order + "H", len(entries)) + b"".join(entries[number] for number in sorted(entries)) + bytes(4)
    )
    stream.seek(4)
    stream.write(struct.pack(order + "I", directory))
    stream.seek(0, 2)


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
