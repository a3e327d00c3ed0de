"""Corrections of low rank: a matrix of a few rows times one of a few columns, in whole numbers, on top of a matrix.

A correction of rank r of a matrix (R, C) is kept as r rows of R + C points of the trellis: both factors side by side,
so that they share their tables. Products of points are summed up in whole numbers, exactly; the sum becomes a float32
and is multiplied with a step, once. No machine can disagree.

length   leb128  bytes that follow
head     of the points, see array_points.py; the step is that of the products
stream   r rows of R + C levels
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_points import check_steps, read_points_head, write_points_head
from laconic.container.array_index import MAX_RANK
from laconic.container.cursor import Cursor, varint
from laconic.entropy.levels import MAX_TRELLIS_TOKENS, LevelLayout, push_levels, scale_of, tokens_of
from laconic.errors import CorruptStream
from laconic.quantize.trellis import SLOPE, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.quantize.scales import Scales

__all__ = ["LowRank", "encode_low_rank", "finest_step", "read_low_rank"]

POINTS_PER_STEP = 64 * 64
"""Of products."""
MAGNITUDES, LEAST_STEP = 60000, 1e-17
STRIPE = 1 << 20
"""Elements that are multiplied out at a time."""


@dataclass(frozen=True, eq=False)
class LowRank:
    """A correction of a matrix (R, C).

    Attributes
    ----------
    down : ndarray (r, R) int32
    along : ndarray (r, C) int32
        Points in 1/64 step.
    step : float32
        Of the products.
    """

    down: NDArray[np.int32]
    along: NDArray[np.int32]
    step: np.float32

    def added(self, values: NDArray[np.float32], scales: Scales | None) -> NDArray[np.float32]:
        """Values (R, C) and the correction.

        No sum of products leaves int64, or even float64: points are below 2^23, and there are at most 255.
        """
        (rank, rows), columns = self.down.shape, self.along.shape[1]
        down, along = self.down.astype(np.int64), self.along.astype(np.int64)
        found = np.empty((rows, columns), np.float32)
        stripe = max(1, STRIPE // columns)
        for top in range(0, rows, stripe):
            part = slice(top, min(top + stripe, rows))
            sums = down[0, part, None] * along[0]
            for k in range(1, rank):
                sums += down[k, part, None] * along[k]
            step: Any = self.step
            if scales is not None:
                own = replace(scales, rows=scales.rows[part]) if len(scales.rows) else scales
                step = own.steps(self.step, *sums.shape)
                check_steps("step of the correction", step)
            found[part] = values[part] + sums.astype(np.float32) * (step / np.float32(POINTS_PER_STEP))
        return found


def finest_step(down: NDArray[Any], along: NDArray[Any]) -> float:
    """The smallest step for factors that the levels, and its own square, can express."""
    largest = max(float(np.abs(down).max(initial=0)), float(np.abs(along).max(initial=0)))
    return max(largest / MAGNITUDES, LEAST_STEP)


def encode_low_rank(
    down: NDArray[Any], along: NDArray[Any], step: float, *, trellis_bits: int = 6
) -> tuple[bytes, LowRank]:
    """Encode factors (r, R) and (r, C) with a step for both; what is spelled, and what a decoder gets."""
    factors = np.ascontiguousarray(np.concatenate([down, along], 1), np.float32)
    rank, columns = factors.shape
    assert rank <= MAX_RANK
    scale = scale_of(float(np.abs(factors).mean()) / step)
    # Few numbers, of rows that are alike: nothing to adapt to.
    layout = LevelLayout(columns, trellis_bits, 0, MAX_TRELLIS_TOKENS, scale)
    chosen = quantize(factors.ravel(), step, layout.fields, slope=SLOPE)
    layout = replace(layout, tokens=tokens_of(chosen.levels, layout))
    offsets = chosen.offsets if factors.size >= 1024 else (0,) * len(chosen.offsets)
    spelled = write_points_head(layout, struct.pack("<f", step * step), offsets)
    spelled += push_levels(chosen.levels, layout)
    spelled = varint(len(spelled)) + spelled
    return spelled, read_low_rank(Cursor(memoryview(spelled)), rank, down.shape[1], along.shape[1])


def read_low_rank(cursor: Cursor, rank: int, rows: int, columns: int) -> LowRank:
    """Read what `encode_low_rank` wrote, for a matrix of so many rows and columns.

    Raises
    ------
    CorruptStream
        It is no correction of such a matrix.
    """
    if not 1 <= rank <= min(rows, columns, MAX_RANK):
        raise CorruptStream("rank", cursor.offset, f"1 to the lesser side of {rows} x {columns}", rank)
    inner = Cursor(cursor.take(cursor.varint("correction length"), "correction"), base=cursor.offset)
    head = read_points_head(inner)
    if head.has_scales or head.has_gaps:
        raise CorruptStream("correction", inner.offset, "neither scales nor gaps", "them")
    points = head.points(inner.take(inner.left, "correction"), rank * (rows + columns), rows + columns)
    return LowRank(*_split(points, rank, rows), head.steps[0])


def _split(points: NDArray[np.int32], rank: int, rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    factors = points.reshape(rank, -1)
    return factors[:, :rows], factors[:, rows:]
