"""Steps of their own for the rows and columns of a matrix, in quarters of an octave.

Where errors in one column do more harm than in another, the best steps go with the inverse square root of that harm
(reverse water-filling). Four sizes to an octave lose less than a hundredth of a bit to any step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_EXPONENT", "PER_OCTAVE", "Scales", "factors"]

PER_OCTAVE = 4
MOST_EXPONENT = 127
_MANTISSAS = np.array([0x3F800000, 0x3F9837F0, 0x3FB504F3, 0x3FD744FD], np.uint32).view(np.float32)
"""2^0, 2^(1/4), 2^(1/2), 2^(3/4) as float32: written out, since no two libraries need agree on a power."""


@dataclass(frozen=True, eq=False)
class Scales:
    """Exponents in quarters of an octave.

    Attributes
    ----------
    rows : ndarray (R,) int8
        One per row, or none.
    columns : ndarray (C,) int8
        One for each `run` columns, or none.
    run : int
        At least 1; 9 gives the 3 x 3 weights of a convolution's input channel one step.
    """

    rows: NDArray[np.int8]
    columns: NDArray[np.int8]
    run: int = 1

    def exponents(self, rows: int, columns: int) -> NDArray[np.int64]:
        """The exponents of all elements, (rows, columns)."""
        down = self.rows.astype(np.int64) if len(self.rows) else np.zeros(rows, np.int64)
        along = np.repeat(self.columns.astype(np.int64), self.run) if len(self.columns) else np.zeros(columns, np.int64)
        return down[:, None] + along[None, :]

    def steps(self, step: np.float32, rows: int, columns: int) -> NDArray[np.float32]:
        """The steps of all elements, (rows, columns): each is rounded once."""
        return step * factors(self.exponents(rows, columns))


def factors(exponents: NDArray[np.int64]) -> NDArray[np.float32]:
    """2^(exponents / 4), from four constants and exact powers of two."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(_MANTISSAS[exponents % PER_OCTAVE], (exponents // PER_OCTAVE).astype(np.int32))
