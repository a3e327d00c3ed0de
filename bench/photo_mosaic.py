"""A picture of any size that is made of photos: the landscape ones of Kodak side by side, every other one mirrored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import record
from numpy.typing import NDArray

__all__ = ["strips"]


def strips(height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the rows of the picture in order, (up to 512, width, 3) at a time."""
    tiles = [picture.pixels for picture in record.kodak() if picture.pixels.shape == (512, 768, 3)]
    for y in range(-(-height // 512)):
        chosen = [tiles[(8 * y + x) % len(tiles)][:, :: 1 - 2 * ((x + y) % 2)] for x in range(-(-width // 768))]
        yield np.ascontiguousarray(np.concatenate(chosen, axis=1)[: height - 512 * y, :width])
