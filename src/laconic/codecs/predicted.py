"""Files of predicted samples: their header, and their tiles, coded from pixels and decoded into them.

What `tiles` is for files with a wavelet; see `entropy.prediction` for what their streams hold.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.inspection import in_words
from laconic.codecs.tiles import pixel_window
from laconic.coder import rans
from laconic.container.fields import PREDICTED
from laconic.container.layout import TileGrid
from laconic.entropy import prediction
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container import Header
    from laconic.transform.workers import Workers

__all__ = ["PREDICTED_TILE", "code_samples", "predicted_header", "restore_samples", "sample_type"]

PREDICTED_TILE = 512
"""Side of a tile in pixels, unless one is asked for. Each tile learns anew, so those of 1024 make files 0.2 % smaller;
but a thread works on one at a time, and a region takes all of every tile that it meets."""


def predicted_header(header: Header, tile: int | None = None) -> Header:
    """Return the header of the same picture when its samples are predicted."""
    return replace(header, parameter_set=PREDICTED, cuts=0, tile=tile or PREDICTED_TILE)


def sample_type(header: Header) -> type[np.uint8 | np.uint16]:
    """Return the type of the pixels of a file."""
    return np.uint8 if header.depth == 8 else np.uint16


def code_samples(pixels: NDArray[Any], header: Header, workers: Workers) -> list[bytes]:
    """Code a whole picture (H, W, C); returns the streams of its tiles."""
    grid = TileGrid.of(header)

    def code(tile: int) -> bytes:
        return rans.push(prediction.tables(pixels, pixel_window(grid, tile)))

    return workers.each(code, range(grid.count))


def restore_samples(
    pixels: NDArray[Any],
    window: tuple[int, int, int, int],
    stream: bytes | memoryview | None,
    header: Header,
    tile: int,
    *,
    allow_partial: bool,
) -> str | None:
    """Decode a tile into its window (top, left, height, width) of `pixels`.

    Returns
    -------
    str or None
        What is wrong with it, in words. Then the tile is gray, as it is if its stream is None.

    Raises
    ------
    CorruptStream
        The tile is damaged, and `allow_partial` is not set.
    """
    damage: str | None = None
    if stream is not None:
        try:
            prediction.pop(pixels, window, stream, tile)
        except CorruptStream as error:
            if not allow_partial:
                raise
            damage = in_words(header, "samples", tile, error)
        else:
            return None
    top, left, height, width = window
    pixels[top : top + height, left : left + width] = 1 << (header.depth - 1)
    return damage
