"""The wavelet of a picture that passes by: rows in, rows of tiles out, and back, exactly as over the whole picture.

A lifting step looks at the samples beside it, and the four steps of the 9/7 reach two pairs of rows far. So each level
keeps the few rows that the next ones need and lifts a window at a time; what lies two pairs inside the window, or at
the picture's own edge, is what `lifting` computes over the whole picture, to the last bit. The levels are chained: what
is low in one is the input of the next, and after six of them a row of tiles is complete some 250 rows after its last
row of pixels has passed (line-based transforms: Chrysafis & Ortega 2000).

A row of tiles is kept as the bands of a picture of its own: an array (P, h, W) in the order of `lifting`, h being the
side of a tile or, at the bottom, what is left. As the side is a multiple of 64, its bands are the picture's bands cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.transform.lifting import LEVELS, Wavelet, lift

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from laconic.transform.workers import Workers

__all__ = ["Passage", "RollingAnalysis", "RollingSynthesis"]

REACH = 2
"""Pairs of rows: how far from the edge of a window its mirror is felt. The 5/3 reaches one."""

PIECE = 1 << 21
"""Samples of a plane that one step of the synthesis makes at most, to bound its memory: whole rows, of any width."""


@dataclass(frozen=True)
class Passage:
    """A picture as it passes by.

    Attributes
    ----------
    planes, height, width : int
    dtype : numpy type
        int16 or int32.
    wavelets : list of Wavelet
        One for each plane.
    side : int
        Of a tile in pixels, a multiple of 64.
    """

    planes: int
    height: int
    width: int
    dtype: Any
    wavelets: list[Wavelet]
    side: int

    def rows(self, level: int) -> int:
        """Count the rows of the low band of a level."""
        return -(-self.height >> level)

    def columns(self, level: int) -> int:
        """Count the columns of the low band of a level."""
        return -(-self.width >> level)

    def tile_rows(self, number: int) -> int:
        """Count the rows of pixels in row `number` of tiles."""
        return min(self.side, self.height - number * self.side)

    def empty(self, rows: int, level: int) -> NDArray[Any]:
        """Room for some rows of the low band of a level."""
        return np.empty((self.planes, rows, self.columns(level)), self.dtype)


class _Split:
    """One level on the way there: what it keeps of the level above it."""

    def __init__(self, passage: Passage, level: int) -> None:
        self.kept = passage.empty(0, level)
        self.start = 0  # the row that `kept` begins with, even
        self.received = 0
        self.done = 0  # pairs of rows handed on


class RollingAnalysis:
    """Planes to bands: give all rows of the picture in order, and take the rows of tiles as they become complete."""

    def __init__(self, passage: Passage, workers: Workers) -> None:
        self._passage = passage
        self._workers = workers
        self._splits = [_Split(passage, level) for level in range(LEVELS)]
        self._open: dict[int, NDArray[Any]] = {}
        self._next = 0

    def analyze(self, planes: NDArray[Any]) -> list[NDArray[Any]]:
        """Take the next rows.

        Parameters
        ----------
        planes : ndarray (P, h, W)
            At least one row; it is overwritten.

        Returns
        -------
        list of ndarray (P, side, W)
            The rows of tiles that are complete now, in order; after the last row of the picture, all that are left.
        """
        assert planes.shape[1] > 0
        rows = planes
        for level in range(LEVELS):
            rows = self._split(level, rows)
            if rows.shape[1] == 0:
                break
        complete: list[NDArray[Any]] = []
        lowest, step = self._splits[-1], self._passage.side >> LEVELS
        while self._next in self._open and (
            lowest.done >= (self._next + 1) * step or lowest.done == self._passage.rows(LEVELS)
        ):
            complete.append(self._open.pop(self._next))
            self._next += 1
        return complete

    def _split(self, level: int, rows: NDArray[Any]) -> NDArray[Any]:
        """Take the next rows of the low band of `level`, put their details in place and return the lower rows."""
        passage, state = self._passage, self._splits[level]
        height, width = passage.rows(level), passage.columns(level)
        lift(rows, passage.wavelets, self._workers, columns=False, extent=width, across=rows.shape[1], inverse=False)
        state.received += rows.shape[1]
        window = np.concatenate([state.kept, rows], axis=1) if state.kept.shape[1] else rows
        last = state.received == height
        ready = passage.rows(level + 1) if last else max(state.done, state.received // 2 - REACH)
        if ready == state.done:
            state.kept = window
            return passage.empty(0, level + 1)
        first = state.done - state.start // 2
        if not last:
            start = max(0, 2 * (ready - REACH))
            state.kept = window[:, start - state.start :].copy()
            state.start = start
        extent = window.shape[1]
        lift(window, passage.wavelets, self._workers, columns=True, extent=extent, across=width, inverse=False)
        lows = (extent + 1) // 2
        low = window[:, first : first + ready - state.done]
        high = window[:, lows + first : lows + first + min(ready, height // 2) - state.done]
        left = passage.columns(level + 1)
        self._place(level + 1, low[:, :, left:], state.done, left=left)
        self._place(level + 1, high, state.done, high=True)
        if level == LEVELS - 1:
            self._place(LEVELS, low[:, :, :left], state.done)
        state.done = ready
        return np.ascontiguousarray(low[:, :, :left])

    def _place(self, level: int, rows: NDArray[Any], first: int, *, left: int = 0, high: bool = False) -> None:
        """Put rows of a level, from row `first` of their band on, where they belong in their rows of tiles."""
        step = self._passage.side >> level
        taken = 0
        while taken < rows.shape[1]:
            number, row = divmod(first + taken, step)
            tile_rows = self._passage.tile_rows(number)
            if number not in self._open:
                shape = (self._passage.planes, tile_rows, self._passage.width)
                self._open[number] = np.empty(shape, self._passage.dtype)
            count = min(step - row, rows.shape[1] - taken)
            top = row + (-(-tile_rows >> level) if high else 0)
            self._open[number][:, top : top + count, left : left + rows.shape[2]] = rows[:, taken : taken + count]
            taken += count


class _Merge:
    """One level on the way back: the low rows it has, and how far it came."""

    def __init__(self, passage: Passage, level: int) -> None:
        self.low = passage.empty(0, level)
        self.start = 0  # the row that `low` begins with
        self.done = 0  # pairs of rows made

    @property
    def received(self) -> int:
        """Rows of the low band so far."""
        return self.start + self.low.shape[1]


class RollingSynthesis:
    """Bands to planes: give all rows of tiles in order, and take the rows of the picture as they become known."""

    def __init__(self, passage: Passage, workers: Workers) -> None:
        self._passage = passage
        self._workers = workers
        self._merges = [_Merge(passage, level) for level in range(1, LEVELS + 1)]
        self._tiles: dict[int, NDArray[Any]] = {}
        self._given = 0

    def synthesize(self, bands: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Take the next row of tiles.

        Parameters
        ----------
        bands : ndarray (P, side, W)
            Kept, not copied, for as long as it is needed.

        Yields
        ------
        ndarray (P, h, W)
            The next rows of the picture, some at a time. All must be taken before the next row of tiles is given.
        """
        passage = self._passage
        self._tiles[self._given] = bands
        self._given += 1
        rows = bands[:, : -(-bands.shape[1] >> LEVELS), : passage.columns(LEVELS)]
        for level in range(LEVELS, 1, -1):
            rows = np.concatenate([passage.empty(0, level - 1), *self._merge(level, rows)], axis=1)
        yield from self._merge(1, rows)
        used = 2 * max(0, self._merges[0].done - REACH)
        for number in [number for number in self._tiles if (number + 1) * passage.side <= used]:
            del self._tiles[number]

    def _merge(self, level: int, rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Take the next low rows of a level and yield the rows of the level above that they complete."""
        passage, state = self._passage, self._merges[level - 1]
        state.low = np.concatenate([state.low, rows], axis=1)
        total, highs = passage.rows(level), passage.rows(level - 1) // 2
        ends = state.received == total
        ready = total if ends else max(state.done, state.received - REACH)
        piece = max(8, PIECE // (2 * passage.columns(level - 1)))
        while state.done < ready:
            until = min(ready, state.done + piece)
            begin, end = max(0, state.done - REACH), min(until + REACH, state.received)
            yield self._window(level, begin, end, min(end, highs), state.done, until)
            state.done = until
        keep = max(0, state.done - REACH)
        state.low = state.low[:, keep - state.start :].copy()
        state.start = keep

    def _window(self, level: int, begin: int, end: int, high_end: int, first: int, until: int) -> NDArray[Any]:
        """Merge the pairs begin .. end and return the rows of the pairs first .. until."""
        passage, state = self._passage, self._merges[level - 1]
        lows, width, left = end - begin, passage.columns(level - 1), passage.columns(level)
        extent = lows + high_end - begin
        window = passage.empty(extent, level - 1)
        window[:, :lows, :left] = state.low[:, begin - state.start : end - state.start]
        self._take(level, window[:, :lows, left:], begin, left=left)
        self._take(level, window[:, lows:], begin, high=True)
        lift(window, passage.wavelets, self._workers, columns=True, extent=extent, across=width, inverse=True)
        top, bottom = 2 * (first - begin), min(2 * (until - begin), extent)
        rows = np.ascontiguousarray(window[:, top:bottom])
        lift(rows, passage.wavelets, self._workers, columns=False, extent=width, across=bottom - top, inverse=True)
        return rows

    def _take(self, level: int, to: NDArray[Any], first: int, *, left: int = 0, high: bool = False) -> None:
        """Fill `to` with the rows of a band from row `first` on."""
        step = self._passage.side >> level
        taken = 0
        while taken < to.shape[1]:
            number, row = divmod(first + taken, step)
            count = min(step - row, to.shape[1] - taken)
            top = row + (-(-self._passage.tile_rows(number) >> level) if high else 0)
            bands = self._tiles[number]
            to[:, taken : taken + count] = bands[:, top : top + count, left : left + to.shape[2]]
            taken += count
