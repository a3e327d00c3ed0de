"""Which part of a picture, at which scale, and which coefficients that takes.

A sample of a level depends on the low and high samples around it only, so a region needs a window of each band that is
hardly larger than the region itself; a smaller scale leaves out the finer levels altogether. What is computed from
these windows equals the same crop of the whole picture exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

from laconic.container.layout import LEVELS, TileGrid, Window, groups, low_size
from laconic.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laconic.container import Header

__all__ = ["View"]

MARGIN = 4
"""Pairs of samples around a window that the mirror at its edge may reach; the 9/7 reaches two."""

MAX_SCALE = 5


@dataclass(frozen=True)
class View:
    """A window of every level.

    Attributes
    ----------
    scale : int
        0 for full size, k for 1 / 2^k.
    windows : tuple of Window
        ``windows[l]`` for l of 0 .. 6: what is needed of the low band of level l (level 0 is the picture); nothing but
        the window itself is wanted of level `scale`, and those below it are not used.
    """

    scale: int
    windows: tuple[Window, ...]

    @classmethod
    def of(cls, header: Header, region: Sequence[int] | None, scale: int, *, margin: int = 0) -> View:
        """Return the view of a region at a scale.

        Parameters
        ----------
        region : (x, y, width, height), optional
            In pixels of the full size; None is the whole picture.
        scale : int
            0 .. 5.
        margin : int
            Pixels around the region that are needed too, a multiple of 4.

        Raises
        ------
        UsageError
            A region that is not inside the picture, or another scale.
        """
        if isinstance(scale, bool) or not isinstance(scale, Integral):
            raise UsageError(f"scale is {scale!r}, expected a whole number")
        if not 0 <= scale <= MAX_SCALE:
            raise UsageError(f"scale is 1/{2**scale if scale > 0 else scale}, expected 1, 1/2, 1/4, 1/8, 1/16 or 1/32")
        whole = Window(0, header.height, 0, header.width)
        if region is None:
            wanted = whole
        else:
            x, y, width, height = _checked(region, header)
            wanted = Window(y, y + height, x, x + width)
        if margin:
            wanted = Window(
                max(0, (wanted.top - margin) & ~3),
                min(header.height, (wanted.bottom + margin + 3) & ~3),
                max(0, (wanted.left - margin) & ~3),
                min(header.width, (wanted.right + margin + 3) & ~3),
            )
        windows: list[Window] = []
        for level in range(LEVELS + 1):
            if level <= scale:
                shift = level
                window = Window(
                    wanted.top >> shift, -(-wanted.bottom >> shift), wanted.left >> shift, -(-wanted.right >> shift)
                )
            else:
                above = windows[-1]
                top, bottom = _low_span(above.top, above.bottom, low_size(header.height, level))
                left, right = _low_span(above.left, above.right, low_size(header.width, level))
                window = Window(top, bottom, left, right)
            windows.append(window)
        return cls(scale, tuple(windows))

    def is_whole(self, header: Header) -> bool:
        """Tell whether this is all of the picture at full size."""
        return self.scale == 0 and self.windows[0] == Window(0, header.height, 0, header.width)

    def tiles_of(self, header: Header) -> list[int]:
        """Number the tiles of a file of predicted samples that are needed: those that meet the region, at full size.

        A smaller size is made of all pixels.
        """
        grid, wanted = TileGrid.of(header), self.windows[0]
        if self.scale:
            return list(range(grid.count))
        rows = range(wanted.top // grid.side, -(-wanted.bottom // grid.side))
        columns = range(wanted.left // grid.side, -(-wanted.right // grid.side))
        return [row * grid.columns + column for row in rows for column in columns]

    def groups_of(self, header: Header, tile: int) -> int:
        """Count the resolution groups of a tile that are needed: all of the coarse ones up to the finest."""
        grid = TileGrid.of(header)
        needed = 0
        for number, levels in enumerate(groups(header.cuts)):
            for level in levels or (LEVELS,):
                # The widest a tile's share of the three bands and the low band of this level can be.
                row, column = divmod(tile, grid.columns)
                side = grid.side >> level
                window = self.windows[level]
                if (
                    level > self.scale
                    and row * side < window.bottom
                    and (row + 1) * side > window.top
                    and column * side < window.right
                    and (column + 1) * side > window.left
                ):
                    needed = number + 1
        return needed


def _low_span(start: int, stop: int, low: int) -> tuple[int, int]:
    """Return the low samples that samples start .. stop need, of `low`."""
    return max(0, start // 2 - MARGIN), min(low, (stop + 1) // 2 + MARGIN)


def _checked(region: Any, header: Header) -> tuple[int, int, int, int]:
    numbers: tuple[Any, ...] = tuple(cast("Iterable[Any]", region)) if isinstance(region, Iterable) else ()
    if len(numbers) != 4 or any(isinstance(value, bool) or not isinstance(value, Integral) for value in numbers):
        raise UsageError(f"region is {region!r}, expected (x, y, width, height) in whole pixels")
    x, y, width, height = (int(value) for value in numbers)
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > header.width or y + height > header.height:
        raise UsageError(
            f"region {x},{y},{width},{height} is not inside the picture of {header.width} x {header.height}"
        )
    return x, y, width, height
