"""How large a picture may be: what the container can hold, checked before memory is taken."""

from __future__ import annotations

from laconic.errors import LimitExceeded, UnsupportedInput

__all__ = ["MAX_PIXELS", "MAX_SIDE", "check_density", "check_size"]

MAX_SIDE = 65_535
MAX_PIXELS = 1 << 31


def check_size(width: int, height: int) -> None:
    """Refuse a picture with no pixels or with too many.

    Raises
    ------
    UnsupportedInput
        Width or height is zero.
    LimitExceeded
        A side is longer than 65,535 pixels, or there are more than 2^31 pixels.
    """
    if width < 1 or height < 1:
        raise UnsupportedInput(f"a picture of {width} x {height} has no pixels")
    if max(width, height) > MAX_SIDE:
        raise LimitExceeded("width" if width >= height else "height", MAX_SIDE, max(width, height))
    if width * height > MAX_PIXELS:
        raise LimitExceeded("number of pixels", MAX_PIXELS, width * height)


def check_density(pixels: int, size: int, densest: int | None) -> None:
    """Refuse a file that announces more pixels than its bytes can hold, before memory is taken for them.

    Parameters
    ----------
    pixels, size : int
        What is announced, and the size of the file in bytes.
    densest : int or None
        Most pixels per byte of a valid file, see `formats`.

    Raises
    ------
    UnsupportedInput
        Such a file is truncated or made to exhaust memory.
    """
    if densest is not None and pixels > densest * size:
        raise UnsupportedInput(f"{pixels:,} pixels are announced, more than a file of {size:,} bytes can hold")
