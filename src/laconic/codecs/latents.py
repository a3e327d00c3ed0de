"""The quantized coefficients of a picture: the grid of integers a model can learn on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from laconic.container.layout import LEVELS, band_index, band_shape, low_size
from laconic.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


__all__ = ["Latents"]


@dataclass(frozen=True, eq=False)
class Latents:
    """Symbols of all bands, those of a file of effort 3 at most.

    Attributes
    ----------
    symbols : ndarray (P, H, W) int32
        All bands in one array: after each level the low band lies top left, HL right of it, LH below, HH diagonally.
    steps : ndarray (P, 19) uint32
        Step of each band in 1/256 of a transform unit; 0 where symbols are coefficients (lossless planes).
    """

    symbols: NDArray[np.int32]
    steps: NDArray[np.uint32]

    def band(self, level: int, orientation: int) -> NDArray[np.int32]:
        """Return one band as a view (P, h, w).

        Parameters
        ----------
        level : int
            6 (coarsest) .. 1.
        orientation : int
            -1 the lowest band (level 6 only), 0 HL, 1 LH, 2 HH.

        Raises
        ------
        UsageError
            There is no such band.
        """
        if not 1 <= level <= LEVELS or not -1 <= orientation <= 2 or (orientation < 0 and level != LEVELS):
            raise UsageError(f"no band of level {level} and orientation {orientation}")
        _, height, width = self.symbols.shape
        band = 0 if orientation < 0 else band_index(level, orientation)
        rows, columns = band_shape(height, width, band)
        top = low_size(height, level) if orientation in (1, 2) else 0
        left = low_size(width, level) if orientation in (0, 2) else 0
        return self.symbols[:, top : top + rows, left : left + columns]
