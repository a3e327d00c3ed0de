"""The uniform quantizer with a dead zone, in numpy: what the native coder does to each coefficient on its way.

`quantize` rounds |c| / step toward zero more or less; `dequantize` puts a symbol back, its magnitude drawn toward zero
by the table's offset, because within one step small coefficients are more frequent than large ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dequantize", "quantize"]


def quantize(coefficients: NDArray[Any], step: int, *, rounding: int = 24) -> NDArray[np.int32]:
    """Turn coefficients into symbols.

    Parameters
    ----------
    coefficients : ndarray of integers, in transform units
    step : int
        In 1/256 of a transform unit; 0 for coefficients that are symbols already (lossless).
    rounding : int
        In 1/64 step: 32 rounds to nearest, less widens the dead zone around zero.

    Returns
    -------
    ndarray int32 of the same shape
    """
    if step == 0:
        return coefficients.astype(np.int32)
    scaled = (np.abs(coefficients.astype(np.int64)) << 14) // step
    return (np.sign(coefficients) * ((scaled + rounding) >> 6)).astype(np.int32)


def dequantize(symbols: NDArray[Any], step: int, offset: NDArray[Any] | int = 0) -> NDArray[np.int64]:
    """Turn symbols back into coefficients.

    Parameters
    ----------
    symbols : ndarray of integers
    step : int
        In 1/256 of a transform unit; 0 for lossless.
    offset : ndarray of the same shape, or int
        How far nonzero magnitudes are drawn toward zero, in 1/64 step.

    Returns
    -------
    ndarray int64, in transform units, not yet limited to the range of the planes
    """
    wide = symbols.astype(np.int64)
    if step == 0:
        return wide
    magnitude = np.abs(wide)
    value = ((magnitude * 64 - np.where(magnitude > 0, offset, 0)) * step) >> 14
    return np.sign(wide) * value
