"""Bytes under one adaptive table <-> words: eight rANS states in turn, for planes of exponents and the like.

The coder is `native/planes.h`; `spec/arrays.md` says what its bytes mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["pop", "push"]


def push(plane: NDArray[np.uint8], low: int, high: int) -> bytes:
    """Encode bytes that all lie within `low` .. `high`.

    Parameters
    ----------
    plane : ndarray (n,) uint8
    low, high : int
        0 <= low <= high <= 255; the tighter, the fewer bytes.

    Raises
    ------
    ValueError
        A byte outside the range.
    """
    return _native.push_plane(plane, low, high)


def pop(stream: memoryview | bytes, low: int, high: int, out: NDArray[np.uint8]) -> None:
    """Decode into `out`, a contiguous (n,) array.

    Raises
    ------
    CorruptStream
        The stream does not hold exactly so many bytes of this range.
    """
    try:
        _native.pop_plane(np.frombuffer(stream, np.uint8), low, high, out)
    except ValueError as error:
        raise CorruptStream("plane", None, f"{len(out)} bytes", str(error)) from error
