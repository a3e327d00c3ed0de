"""Points of the trellis and what a decoder must know before it can read them.

flags    u8    bits 0-3 trellis bits, 4-5 contexts, 6 offsets follow, 7 shared zero
tokens   u8    with bit 7 set where scales follow
scale    u8    with bit 7 set where rows or columns are left out
step     f32; in a group of several a u16 for each, the upper half of a f32
offsets  6 x i8, in 1/64 step, where flags say so

What follows is whoever reads this to know; the stream of the levels ends it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laconic.entropy.levels import CONTEXTS, MAX_TRELLIS_TOKENS, SCALES, LevelLayout, pop_levels
from laconic.errors import CorruptStream
from laconic.quantize.trellis import MOST_OFFSET, OFFSETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from laconic.container.cursor import Cursor

__all__ = ["MARK", "PointsHead", "check_steps", "from_halves", "read_points_head", "upper_halves", "write_points_head"]

MARK = 128
"""Bit of `tokens` and of `scale`."""


@dataclass(frozen=True, eq=False)
class PointsHead:
    """What stands before a stream of points; the columns of `layout` are still to be set."""

    layout: LevelLayout
    steps: NDArray[np.float32]
    offsets: tuple[int, ...]
    has_scales: bool = False
    has_gaps: bool = False

    def points(self, stream: memoryview, count: int, columns: int) -> NDArray[np.int32]:
        """Decode the points in 1/64 step."""
        one = self.layout
        layout = LevelLayout(columns, one.trellis_bits, one.contexts, one.tokens, one.scale, one.shared_zero)
        return pop_levels(stream, count, layout, self.offsets)


def write_points_head(
    layout: LevelLayout, steps: bytes, offsets: Sequence[int], *, has_scales: bool = False, has_gaps: bool = False
) -> bytes:
    """Spell a head; `steps` are bytes already."""
    flags = layout.trellis_bits | layout.contexts << 4 | any(offsets) << 6 | layout.shared_zero << 7
    spelled = bytes([flags, layout.tokens + MARK * has_scales, layout.scale + MARK * has_gaps]) + steps
    return spelled + (struct.pack("<6b", *offsets) if any(offsets) else b"")


def read_points_head(cursor: Cursor, members: int = 1) -> PointsHead:
    """Read what `write_points_head` wrote, for a group of so many members.

    Raises
    ------
    CorruptStream
        It is no lawful head.
    """
    flags, tokens, scale = (cursor.u8(field) for field in ("flags", "tokens", "scale"))
    if members == 1:
        steps = np.frombuffer(cursor.take(4, "step"), "<f4")
    else:
        steps = from_halves(np.frombuffer(cursor.take(2 * members, "steps"), "<u2"))
    bits, contexts, has_offsets = flags & 15, flags >> 4 & 3, flags >> 6 & 1
    if not 2 <= bits <= 8 or contexts >= CONTEXTS:
        raise CorruptStream("flags", None, "a trellis of 2 to 8 bits for floats", f"{flags:#04x}")
    has_scales, has_gaps = (field >= MARK and members == 1 for field in (tokens, scale))
    tokens, scale = tokens - MARK * has_scales, scale - MARK * has_gaps
    if not 2 <= tokens <= MAX_TRELLIS_TOKENS or scale >= SCALES:
        raise CorruptStream("trellis parameters", None, "lawful ones", (tokens, scale))
    check_steps("step", steps)
    offsets: tuple[int, ...] = (0,) * OFFSETS
    if has_offsets:
        offsets = struct.unpack("<6b", cursor.take(OFFSETS, "offsets"))
        if not any(offsets) or max(map(abs, offsets)) > MOST_OFFSET:
            raise CorruptStream("offsets", None, f"six from -{MOST_OFFSET} to {MOST_OFFSET}, not all 0", offsets)
    layout = LevelLayout(1, bits, contexts, tokens, scale, bool(flags >> 7))
    return PointsHead(layout, steps, offsets, has_scales, has_gaps)


def check_steps(field: str, steps: NDArray[np.float32]) -> None:
    """Refuse steps that are not above 0 and below 1e38."""
    if not ((steps > 0) & (steps < 1e38)).all():
        raise CorruptStream(field, None, "steps above 0 and below 1e38", steps.ravel().tolist()[:4])


def upper_halves(steps: Sequence[float]) -> NDArray[np.uint16]:
    """The upper halves of float32, rounded down but never to 0."""
    return np.maximum(np.asarray(steps, np.float32).view(np.uint32) >> np.uint32(16), 0x80).astype(np.uint16)


def from_halves(halves: NDArray[np.uint16]) -> NDArray[np.float32]:
    """float32 numbers from their upper halves."""
    return (halves.astype(np.uint32) << np.uint32(16)).view(np.float32)
