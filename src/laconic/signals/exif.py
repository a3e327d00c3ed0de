"""Orientation: read it from EXIF or XMP, turn the pixels, reset the tag. Everything else in the metadata stays as is.

EXIF is a TIFF structure (EXIF 2.32, section 4.5.2); the tag is patched in place, so maker notes and thumbnails keep
their absolute offsets. Here EXIF bytes always begin with that structure, without the prefix `Exif\\0\\0` of JPEG.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PREFIX", "bare", "orientation", "turn", "upright_exif", "upright_xmp", "xmp_orientation"]

PREFIX = b"Exif\0\0"
_ORIENTATION_TAG = 0x0112
_XMP_ORIENTATION = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|\s*>\s*))([1-8])(?=["'\s<])""")


def bare(exif: bytes | None) -> bytes | None:
    """Strip JPEG's prefix; None for nothing, or for bytes that are no TIFF structure."""
    if not exif:
        return None
    while exif.startswith(PREFIX):
        exif = exif[len(PREFIX) :]
    return exif if exif[:4] in {b"II*\0", b"MM\0*"} else None


def orientation(exif: bytes | None) -> int | None:
    """The EXIF orientation, 1..8; None where there is none or its value is not one of these."""
    place = _locate(exif)
    if exif is None or place is None:
        return None
    (value,) = struct.unpack_from(_order(exif) + "H", exif, place)
    return value if 1 <= value <= 8 else None


def xmp_orientation(xmp: bytes | None) -> int | None:
    """The XMP orientation, 1..8; None where there is none."""
    match = _XMP_ORIENTATION.search(xmp or b"")
    return int(match[2]) if match else None


def upright_exif(exif: bytes | None) -> bytes | None:
    """The same EXIF bytes with orientation 1."""
    place = _locate(exif)
    if exif is None or place is None:
        return exif
    return exif[:place] + struct.pack(_order(exif) + "H", 1) + exif[place + 2 :]


def upright_xmp(xmp: bytes | None) -> bytes | None:
    """The same XMP bytes with orientation 1."""
    return None if xmp is None else _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def turn(pixels: NDArray[Any], value: int) -> NDArray[Any]:
    """Turn and mirror pixels stored with the given orientation so that they are upright.

    Parameters
    ----------
    pixels : ndarray (H, W, C)
    value : int
        EXIF orientation, 1..8.

    Returns
    -------
    ndarray (H, W, C), or (W, H, C) for the values 5..8, contiguous
    """
    if value >= 5:
        pixels = pixels.swapaxes(0, 1)
    if value in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    if value in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _order(exif: bytes) -> str:
    return "<" if exif[:2] == b"II" else ">"


def _locate(exif: bytes | None) -> int | None:
    """Where the value of the orientation tag stands, in bytes from the start; None where there is no such tag."""
    if exif is None or exif[:4] not in {b"II*\0", b"MM\0*"} or len(exif) < 8:
        return None
    order = _order(exif)
    (first,) = struct.unpack_from(order + "I", exif, 4)
    if first + 2 > len(exif):
        return None
    (entries,) = struct.unpack_from(order + "H", exif, first)
    for entry in range(first + 2, min(first + 2 + 12 * entries, len(exif) - 11), 12):
        tag, kind, count = struct.unpack_from(order + "HHI", exif, entry)
        if tag == _ORIENTATION_TAG and kind == 3 and count == 1:
            return entry + 8
    return None
