"""Samples one by one: the pixels of one tile -> operations of the coder, and a stream -> pixels. No wavelet, no model.

Each sample is foretold from those before it, in its own channel and in the channels before, and what is left is coded
with probabilities that mix what several contexts have seen; everything is learned from the tile as it comes.
`spec/prediction.md` says how, `native/predicted_tile.h` and the files it names do the work, and
`prediction_reference.py` says the same in plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laconic import _native
from laconic.entropy.causal import DAMAGE
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["pop", "tables"]


def tables(pixels: NDArray[Any], tile: tuple[int, int, int, int]) -> NDArray[np.uint32]:
    """Find the table interval of every decision of one tile.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16, C-contiguous
        Of the whole picture, or of some rows of it.
    tile : (top, left, height, width) in pixels

    Returns
    -------
    ndarray (n,) uint32
        The operations for `coder.rans.push`; there are always some.
    """
    return _native.encode_predicted(pixels, tile)


def pop(pixels: NDArray[Any], tile: tuple[int, int, int, int], stream: bytes | memoryview, number: int = 0) -> None:
    """Decode one tile: a stream -> pixels, written in place.

    Parameters
    ----------
    pixels : ndarray (H, W, C) uint8 or uint16, C-contiguous
    tile : (top, left, height, width) in pixels
    stream : bytes-like
    number : int
        Of the tile, for the error's message.

    Raises
    ------
    CorruptStream
        The samples do not use up the stream exactly. Then the tile's pixels mean nothing.
    """
    status = _native.decode_predicted(pixels, tile, bytes(stream))
    if status:
        what, expected, found = DAMAGE[status]
        raise CorruptStream(f"{what} of tile {number}", None, expected, found)
