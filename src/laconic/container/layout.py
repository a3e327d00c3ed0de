"""Where coefficients live: bands, tiles and resolution groups of a picture, by integer arithmetic alone.

A plane is split six times by the wavelet over the whole picture. At level l the low half of n samples has ceil(n / 2^l)
of them and the high half what is left of level l - 1. A plane has 19 bands: 0 is the lowest (LL), and level l = 6..1
adds 1 + 3 (6 - l) + o with o = 0 HL (horizontally high-pass), 1 LH (vertically high-pass), 2 HH.
A tile is the part of each band that belongs to one square of pixels; as its side is a multiple of 2^6, the tile at
pixel y0 begins at index y0 / 2^l of every band of level l, low or high.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from laconic.container.fields import Header

__all__ = [
    "BANDS",
    "LEVELS",
    "ORIENTATIONS",
    "TileGrid",
    "Window",
    "band_index",
    "band_place",
    "band_shape",
    "groups",
    "high_size",
    "low_size",
]

LEVELS = 6
ORIENTATIONS = ("HL", "LH", "HH")
BANDS = 1 + 3 * LEVELS


def low_size(size: int, level: int) -> int:
    """Count the low-pass samples of `size` samples after `level` splits: ceil(size / 2^level)."""
    return -(-size >> level)


def high_size(size: int, level: int) -> int:
    """Count the high-pass samples that the split number `level` makes of `size` samples."""
    return low_size(size, level - 1) >> 1


def band_index(level: int, orientation: int) -> int:
    """Number the band of `level` 6..1 and `orientation` 0 HL, 1 LH, 2 HH; the lowest band is 0."""
    return 1 + 3 * (LEVELS - level) + orientation


def band_place(band: int) -> tuple[int, int]:
    """Return (level, orientation) of a band; orientation -1 stands for the lowest band."""
    if band == 0:
        return LEVELS, -1
    return LEVELS - (band - 1) // 3, (band - 1) % 3


def band_shape(height: int, width: int, band: int) -> tuple[int, int]:
    """Return (rows, columns) of a band of a plane of (height, width) pixels; either may be 0."""
    level, orientation = band_place(band)
    rows = high_size(height, level) if orientation in (1, 2) else low_size(height, level)
    columns = high_size(width, level) if orientation in (0, 2) else low_size(width, level)
    return rows, columns


def groups(cuts: int) -> tuple[tuple[int, ...], ...]:
    """Return the levels of each resolution group, coarse to fine.

    Group 0 holds the lowest band and the levels from 6 down to the first cut; bit l - 1 of `cuts` starts a new group
    before level l. With bit 5 set group 0 is the lowest band alone, ``()``. ``groups(0)`` is ``((6, 5, 4, 3, 2, 1),)``.
    """
    parts: list[list[int]] = [[]]
    for level in range(LEVELS, 0, -1):
        if cuts >> (level - 1) & 1:
            parts.append([])
        parts[-1].append(level)
    return tuple(tuple(part) for part in parts)


class Window(NamedTuple):
    """A rectangle of a band: rows top..bottom - 1, columns left..right - 1; it may be empty."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class TileGrid:
    """The squares of `side` pixels that cover (height, width) pixels, numbered row by row."""

    height: int
    width: int
    side: int

    @classmethod
    def of(cls, header: Header) -> TileGrid:
        """Return the grid a header describes."""
        return cls(header.height, header.width, header.tile)

    @property
    def rows(self) -> int:
        """Number of tiles from top to bottom."""
        return -(-self.height // self.side)

    @property
    def columns(self) -> int:
        """Number of tiles from left to right."""
        return -(-self.width // self.side)

    @property
    def count(self) -> int:
        """Number of tiles, at least 1."""
        return self.rows * self.columns

    def pixels(self, tile: int) -> Window:
        """Return the pixels of tile number `tile`."""
        row, column = divmod(tile, self.columns)
        top, left = row * self.side, column * self.side
        return Window(top, min(top + self.side, self.height), left, min(left + self.side, self.width))

    def window(self, tile: int, band: int) -> Window:
        """Return the part of `band` that belongs to tile number `tile`."""
        row, column = divmod(tile, self.columns)
        level, _ = band_place(band)
        rows, columns = band_shape(self.height, self.width, band)
        side = self.side >> level
        return Window(
            min(row * side, rows),
            min((row + 1) * side, rows),
            min(column * side, columns),
            min((column + 1) * side, columns),
        )
