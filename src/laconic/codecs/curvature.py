"""What an error in a tensor costs: second moments that calibration collects, in a file of arrays.

Such a file has, for a tensor NAME of the model:

    NAME.rows      of a matrix (its first axis): (R, R), or the diagonal (R,)
    NAME.columns   of a matrix (all other axes): (C, C), or the diagonal (C,)
    NAME.elements  of another tensor: one for each element, in its shape

The loss of errors E is half the trace of rows E columns E^T, or half the sum of elements E^2. `train/calibrate.py`
makes them in nats of Kullback-Leibler divergence per input, so that all tensors have one currency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.signals.tensors import Tensor

__all__ = ["Curvature", "curvatures_of"]


@dataclass(frozen=True, eq=False)
class Curvature:
    """Of one tensor: `rows` and `columns` of a matrix, or `elements` (n,)."""

    rows: NDArray[np.float32] | None = None
    columns: NDArray[np.float32] | None = None
    elements: NDArray[np.float32] | None = None

    @property
    def weight(self) -> float:
        """What a squared error of one element costs, in the mean."""
        if self.elements is not None:
            return max(0.5 * float(self.elements.mean(dtype=np.float64)), 1e-30)
        assert self.rows is not None
        assert self.columns is not None
        return max(0.5 * _level(self.rows) * _level(self.columns), 1e-30)


def curvatures_of(arrays: Mapping[str, Any], tensors: tuple[Tensor, ...]) -> dict[str, Curvature]:
    """Find the curvatures of tensors, by name; tensors without one are left out.

    Raises
    ------
    UsageError
        A curvature is not of the tensor's shape, or not finite, or below 0; or there is none for any tensor.
    """
    found: dict[str, Curvature] = {}
    for tensor in tensors:
        name, count = tensor.name, tensor.count
        if f"{name}.elements" in arrays:
            elements = _checked(arrays, f"{name}.elements")
            if elements.size != count:
                raise UsageError(f"{name}.elements is of {elements.size} elements, {name!r} has {count}")
            found[name] = Curvature(elements=elements.ravel())
        elif f"{name}.rows" in arrays and f"{name}.columns" in arrays:
            rows, columns = _checked(arrays, f"{name}.rows"), _checked(arrays, f"{name}.columns")
            sides = (count // tensor.columns, tensor.columns)
            for part, side, matrix in (("rows", sides[0], rows), ("columns", sides[1], columns)):
                if matrix.shape not in {(side,), (side, side)}:
                    raise UsageError(f"{name}.{part} is of shape {matrix.shape}, {name!r} has {side} {part}")
            found[name] = Curvature(rows, columns)
    if not found:
        raise UsageError(
            "the calibration has nothing about any tensor of this file; inputs for a network go with --model"
        )
    return found


def _checked(arrays: Mapping[str, Any], name: str) -> NDArray[np.float32]:
    matrix = np.asarray(arrays[name])
    if matrix.dtype.kind != "f" or not np.isfinite(matrix).all():
        raise UsageError(f"{name} of the calibration holds something else than finite numbers")
    diagonal = np.diag(matrix) if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] else matrix
    if (diagonal < 0).any():
        raise UsageError(f"{name} of the calibration has squares below 0")
    return matrix.astype(np.float32)


def _level(moments: NDArray[np.float32]) -> float:
    diagonal = np.diag(moments) if moments.ndim == 2 else moments
    return math.fsum(diagonal.tolist()) / max(len(diagonal), 1)
