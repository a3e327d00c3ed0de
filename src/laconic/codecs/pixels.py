"""What the image codec takes for a picture and gives back, and the one shape it works with: (H, W, C)."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from laconic.errors import UnsupportedInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.signals.image import Image

__all__ = ["Restored", "as_pixels", "from_pixels", "load_picture"]

MAX_SIDE = 65_535


@dataclass(frozen=True)
class Restored:
    """A decoded picture.

    Attributes
    ----------
    pixels : ndarray (H, W) or (H, W, C) uint8 or uint16
        Of a large picture that went to a file row by row (`decompress_file`): no rows, (0, W) or (0, W, C).
    icc, exif, xmp : bytes or None
    missing : tuple of str
        What a damaged file lacks, in words; empty for an intact one.
    """

    pixels: NDArray[Any]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    missing: tuple[str, ...] = ()


def as_pixels(picture: Any) -> NDArray[Any]:
    """Return a picture as C-contiguous (H, W, C) uint8 or uint16.

    Raises
    ------
    UnsupportedInput
        Another type, shape or size.
    """
    if not isinstance(picture, np.ndarray):
        picture = load_picture(picture).pixels
    array = cast("NDArray[Any]", picture)
    if array.dtype.name not in {"uint8", "uint16"}:
        raise UnsupportedInput(f"pixels of type {array.dtype}, expected uint8 or uint16")
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise UnsupportedInput(f"pixels of shape {shape}, expected (H, W) or (H, W, C) with C of 1 to 4")
    height, width = array.shape[:2]
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise UnsupportedInput(f"a picture of {width} x {height}, expected 1 to {MAX_SIDE} a side")
    # Native byte order too: a big-endian uint16 has the same type number but not the same bytes.
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))


def from_pixels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W, C) pixels as users expect them: gray without its axis of length one."""
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def load_picture(picture: Any) -> Image:
    """Load what is not an array: a PIL image, a path or a binary file.

    Raises
    ------
    UnsupportedInput
        No picture.
    """
    from laconic.signals import image

    if hasattr(picture, "getbands"):
        return image.from_pil(picture)
    given: object = picture
    if not isinstance(given, (str, PathLike, bytes)) and not hasattr(given, "read"):
        raise UnsupportedInput(
            f"a picture is an array, a PIL image, a path or a binary file, not {type(given).__name__}"
        )
    return image.load(picture)
