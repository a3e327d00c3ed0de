"""The entropy model of a matrix of levels: every table adapts to what was coded before, so nothing is transmitted.

A level's context is the quantizer it belongs to (the trellis state, `quantize/trellis.py`) and how large its row and
column have been so far. The work is done in `native/levels.h`; `spec/arrays.md` is the document. The streams are those
of `coder/rans.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laconic import _native
from laconic.errors import CorruptStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "CONTEXTS",
    "MAX_SCALAR_TOKENS",
    "MAX_TRELLIS_TOKENS",
    "SCALES",
    "LevelLayout",
    "most_levels",
    "pop_levels",
    "push_levels",
    "scale_of",
    "tokens_of",
]

CONTEXTS = 4
"""0 none, 1 row, 2 column, 3 the mean of both."""
SCALES = 24
MAX_TRELLIS_TOKENS = 104
MAX_SCALAR_TOKENS = 224


@dataclass(frozen=True)
class LevelLayout:
    """What encoder and decoder agree on beforehand.

    Attributes
    ----------
    columns : int
        Levels in a row, at least 1.
    trellis_bits : int
        2 to 8: 4 to 256 states; 0 for levels without a trellis.
    contexts : int
        0 to 3, see `CONTEXTS`.
    tokens : int
        1 + the largest token that occurs; at least 2.
    scale : int
        0 to 23: what the mean magnitude is near, two to an octave. Adaptation begins there.
    shared_zero : bool
        Quantizer 1 has a zero too, see `quantize/trellis.py`.
    """

    columns: int
    trellis_bits: int
    contexts: int
    tokens: int
    scale: int
    shared_zero: bool = False

    @property
    def fields(self) -> tuple[int, int, int, int, int, bool]:
        """The same as the native core takes it."""
        return (self.columns, self.trellis_bits, self.contexts, self.tokens, self.scale, self.shared_zero)


def scale_of(mean: float) -> int:
    """The scale for a mean magnitude, in steps."""
    return int(np.clip(np.floor(2 * np.log2(max(mean, 1e-9) * 16)), 0, SCALES - 1))


def most_levels(size: int) -> int:
    """How many levels a stream of `size` bytes can hold at most.

    A token under a table of at least two keeps at most 16383 of 16384 slots, so it costs 2^-13.5 bits or more.
    """
    return 8 * size << 14


def tokens_of(levels: NDArray[np.int32], layout: LevelLayout) -> int:
    """What `LevelLayout.tokens` must be at least for these levels."""
    return max(2, _native.tokens_of(levels, layout.trellis_bits, layout.shared_zero))


def push_levels(levels: NDArray[np.int32], layout: LevelLayout) -> bytes:
    """Encode levels (n,), row by row.

    Raises
    ------
    ValueError
        A level that the layout cannot hold.
    """
    return _native.push_levels(levels, layout.fields)


def pop_levels(
    stream: memoryview | bytes, count: int, layout: LevelLayout, offsets: Sequence[int] = ()
) -> NDArray[np.int32]:
    """Decode `count` levels or, where `offsets` are given, their points in 1/64 step.

    Raises
    ------
    CorruptStream
        The stream does not hold exactly so many levels.
    """
    if count > most_levels(len(stream)):
        raise CorruptStream("levels", None, f"at most {most_levels(len(stream))} in {len(stream)} bytes", count)
    try:
        return _native.pop_levels(bytes(stream), count, layout.fields, list(offsets))
    except ValueError as error:
        raise CorruptStream("levels", None, f"{count} levels", str(error)) from error
