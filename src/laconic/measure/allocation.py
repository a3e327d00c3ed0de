"""Where the bits of a picture go: its bytes by place and by resolution.

A file says how many bytes each of its tiles takes. Tiles of the usual side are too large for a map, so the picture is
coded again at the same quality in small ones; borders cost that file some bytes more, the picture of where they go
stays. Nothing is estimated: these are the sizes of coded streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import laconic
from laconic.codecs.inspection import group_name
from laconic.container import read
from laconic.container.layout import TileGrid
from laconic.measure.peers import RGB

SIDE = 64


@dataclass(frozen=True)
class Allocation:
    """Bytes of a picture's squares.

    Attributes
    ----------
    side
        Of a square in pixels; those at the right and the lower edge may be smaller.
    groups
        Names of the resolution groups, coarse to fine.
    sizes
        (groups, rows, columns) bytes.
    """

    side: int
    groups: tuple[str, ...]
    sizes: npt.NDArray[np.int64]


def allocation(pixels: RGB, quality: int) -> Allocation:
    """Where a file of this picture at a quality of laconic spends its bytes."""
    container = read(laconic.ImageCodec(quality=quality, tile=SIDE).encode(pixels))
    header = container.header
    grid = TileGrid.of(header)
    rows, columns = -(-header.height // SIDE), -(-header.width // SIDE)
    assert rows * columns == grid.count
    sizes = [[len(stream or b"") for stream in streams] for streams in container.segments]
    names = tuple(group_name(header, group) for group in range(len(sizes)))
    return Allocation(SIDE, names, np.array(sizes, np.int64).reshape(len(sizes), rows, columns))
