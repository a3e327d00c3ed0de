"""Rows and columns that are left out of a matrix: all else is coded as if the matrix had no others.

run      leb128   columns that one bit stands for; 0: no columns are left out
rows     u8       1: rows have bits, 0: no rows are left out
bits     where rows have them, one for each; then one for each run of columns; the lowest bit first, filled up with
         zeros to a whole byte: 1 where it is left out
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.container.cursor import varint
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.container.cursor import Cursor

__all__ = ["Gaps", "read_gaps", "write_gaps"]


@dataclass(frozen=True, eq=False)
class Gaps:
    """What is left out of a matrix (R, C); something is, and something is not.

    Attributes
    ----------
    rows : ndarray (R,) bool
    columns : ndarray (C / run,) bool
        One for each run of columns.
    run : int
    """

    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]
    run: int = 1

    @property
    def kept(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of the rows and of the columns that are there."""
        return np.flatnonzero(~self.rows), np.flatnonzero(~np.repeat(self.columns, self.run))

    @property
    def inner(self) -> tuple[int, int]:
        """Rows and columns of what is coded."""
        return int((~self.rows).sum()), int((~self.columns).sum()) * self.run

    def without(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """What is coded of a matrix (R, C)."""
        return np.ascontiguousarray(matrix[np.ix_(*self.kept)])

    def within(self, inner: NDArray[np.float32]) -> NDArray[np.float32]:
        """The matrix (R, C) of what was coded, 0 where it was left out."""
        whole = np.zeros((len(self.rows), len(self.columns) * self.run), np.float32)
        whole[np.ix_(*self.kept)] = inner.reshape(self.inner)
        return whole


def write_gaps(gaps: Gaps) -> bytes:
    """Spell what is left out."""
    has_rows, run = bool(gaps.rows.any()), gaps.run if gaps.columns.any() else 0
    bits = np.concatenate([gaps.rows if has_rows else gaps.rows[:0], gaps.columns if run else gaps.columns[:0]])
    return varint(run) + bytes([has_rows]) + np.packbits(bits, bitorder="little").tobytes()


def read_gaps(cursor: Cursor, rows: int, columns: int) -> Gaps:
    """Read what `write_gaps` wrote, for a matrix of so many rows and columns.

    Raises
    ------
    CorruptStream
        It is nothing that such a matrix can be without.
    """
    run, has_rows = cursor.varint("gap run"), cursor.u8("row gaps")
    if has_rows > 1 or not (run or has_rows):
        raise CorruptStream("row gaps", cursor.offset - 1, "0 or 1, and some gaps", has_rows)
    if run and columns % run:
        raise CorruptStream("gap run", cursor.offset - 1, f"a divisor of {columns} columns", run)
    down, along = has_rows * rows, columns // run if run else 0
    packed = np.frombuffer(cursor.take((down + along + 7) // 8, "gaps"), np.uint8)
    bits = np.unpackbits(packed, bitorder="little").astype(np.bool_)
    parts = bits[:down], bits[down : down + along]
    if bits[down + along :].any() or not all(part.any() and not part.all() for part in parts if len(part)):
        raise CorruptStream("gaps", cursor.offset, "some bits but not all, and zeros to the end of the byte", "others")
    nothing = np.zeros(rows, np.bool_), np.zeros(columns, np.bool_)
    return Gaps(parts[0] if has_rows else nothing[0], parts[1] if run else nothing[1], run or 1)
