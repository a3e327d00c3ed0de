"""Dependent quantization: two quantizers, and the parities of the symbols before decide which of them comes next.

Quantizer 0 has its points at whole steps. Those of quantizer 1 lie half a step nearer to zero, and zero is in both.
The encoder chooses among points as dense as those of half the step, and every symbol costs what it costs with the whole
one (Schwarz et al., DCC 2019; trellis-coded quantization: Marcellin and Fischer, IEEE Trans. Commun. 38(1), 1990).
`native/dependent_encoder.h` searches the best path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NEXT_STATE", "quantizers"]

NEXT_STATE = ((0, 2), (5, 7), (1, 3), (4, 6), (2, 0), (7, 5), (3, 1), (6, 4))
"""The state after a symbol of even or odd magnitude in state 0 .. 7; odd states belong to quantizer 1."""


def quantizers(magnitudes: NDArray[np.integer], dropped: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the quantizer of each symbol of a band.

    Parameters
    ----------
    magnitudes : ndarray (H, W)
    dropped : ndarray (H, W) bool
        Symbols of groups that a flag says are zero; after them the state is 0, as at the start of every row.

    Returns
    -------
    ndarray (H, W) uint8, 0 or 1
    """
    following = np.array(NEXT_STATE, np.uint8)
    state = np.zeros(len(magnitudes), np.uint8)
    found = np.zeros(magnitudes.shape, np.uint8)
    for x in range(magnitudes.shape[1]):
        found[:, x] = state & 1
        state = np.where(dropped[:, x], 0, following[state, magnitudes[:, x] & 1])
    return found
