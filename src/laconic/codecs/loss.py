"""What errors in a matrix cost, and the matrices of low rank that cost least."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.quantize.feedback import Feedback

__all__ = ["Loss"]

EXTRA, POWERS = 8, 3
"""Of the search for singular vectors: more vectors than are asked for, and rounds."""


@dataclass(frozen=True, eq=False)
class Loss:
    """The cost of errors E (R, C), in units of the scaled steps: weight * ||left E right||^2.

    Attributes
    ----------
    weight : float
    left : ndarray (R, R) or (R,), None for the identity
    right : ndarray (C, C) or (C,), None for the identity
    """

    weight: float
    left: NDArray[np.floating[Any]] | None = None
    right: NDArray[np.floating[Any]] | None = None

    @classmethod
    def of(cls, feedback: Feedback | None, weight: float) -> Loss:
        """Of a matrix with curvature, or with a weight that all its errors have in common."""
        if feedback is None:
            return cls(weight)
        down, along = (np.sqrt(one.astype(np.float64)) for one in (feedback.row_weight, feedback.column_weight))
        left = down[:, None] * feedback.across if len(feedback.across) else down
        right = feedback.along * along if len(feedback.along) else along
        return cls(feedback.weight, left, right)

    def of_error(self, error: NDArray[Any]) -> float:
        """What an error costs."""
        return self.weight * float(np.square(self.whitened(error)).sum())

    def whitened(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        """The matrix in whose elements all errors cost the same."""
        found = matrix.astype(np.float64)
        if self.left is not None:
            found = self.left @ found if self.left.ndim == 2 else self.left[:, None] * found
        if self.right is not None:
            found = found @ self.right if self.right.ndim == 2 else found * self.right
        return found

    def nearest(self, matrix: NDArray[Any], rank: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The matrices of low rank that leave least.

        Returns
        -------
        tuple of ndarray
            Singular values (r,) of the whitened matrix, and factors (r, R) and (r, C) that share them evenly.
        """
        u, s, v = _leading(self.whitened(matrix), rank)
        root = np.sqrt(s)
        return s, self._back(root[:, None] * u.T, 0), self._back(root[:, None] * v, 1)

    def _back(self, factors: NDArray[np.float64], side: int) -> NDArray[np.float64]:
        """Whitened factors (r, R) or (r, C) -> factors."""
        inverse = self._inverses[side]
        if inverse is None:
            return factors
        return factors * inverse if inverse.ndim == 1 else (inverse @ factors.T).T if side == 0 else factors @ inverse

    @cached_property
    def _inverses(self) -> tuple[NDArray[np.floating[Any]] | None, NDArray[np.floating[Any]] | None]:
        def inverse(one: NDArray[np.floating[Any]] | None) -> NDArray[np.floating[Any]] | None:
            if one is None or one.ndim == 1:
                return None if one is None else np.reciprocal(one)
            return np.linalg.inv(one)

        return inverse(self.left), inverse(self.right)

    @cached_property
    def reach(self) -> tuple[float, float]:
        """Mean squares of the columns of `left` and of the rows of `right`: what an error in a factor is weighed by."""

        def mean(one: NDArray[np.floating[Any]] | None) -> float:
            return 1.0 if one is None else float(np.square(one).sum() / len(one))

        return mean(self.left), mean(self.right)


def _leading(matrix: NDArray[np.float64], rank: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The largest singular values and their vectors, by subspace iteration (Halko et al., SIAM Review 53(2), 2011)."""
    if min(matrix.shape) <= 4 * (rank + EXTRA):
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        return u[:, :rank], s[:rank], v[:rank]
    found = matrix @ np.random.default_rng(0).standard_normal((matrix.shape[1], rank + EXTRA))
    for _ in range(POWERS):
        found = np.linalg.qr(found)[0]
        found = matrix @ np.linalg.qr(matrix.T @ found)[0]
    basis = np.linalg.qr(found)[0]
    u, s, v = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ u)[:, :rank], s[:rank], v[:rank]
