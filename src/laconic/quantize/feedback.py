"""Quantization that makes up for its own errors: what one weight did to its layer's output, later weights undo.

The loss that errors E of a matrix bring about is taken as half the trace of G E A E^T: A are second moments of what
comes in along its columns, G of what the loss feels along its rows. Of both the triangular factors are taken (Frantar
et al., OPTQ, ICLR 2023, for A alone; Tseng et al., YAQA, 2025, for both), the trellis is searched with the errors fed
on (`native/trellis_feedback.h`), and rows and columns get steps by reverse water-filling of the factors' diagonals
(Lifar et al., WaterSIC, 2026). A and G are known from few inputs only, so both are damped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic import _native
from laconic.quantize.scales import MOST_EXPONENT, PER_OCTAVE, Scales
from laconic.quantize.trellis import SLOPE, Levels, quantize

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Feedback", "quantize_with_feedback"]

COLUMN_DAMPING, ROW_DAMPING = 0.1, 0.5
"""Shares of the mean of the diagonal, chosen on calibration inputs held back: of ResNet-20, with the curvature of 800
others and their variants, at five sizes, with an earlier search. With 0.05 and 0.5, or 0.02 and 0.2, the divergence was
2 % more, with 0.2 and 0.5 it was 11 %."""
SCALE_BITS = 4
"""What a scale costs, nearly."""
ROUNDS = 1
"""Quick searches before the last, to learn prices and points from."""
_NOTHING = np.zeros(0, np.int8)


@dataclass(frozen=True, eq=False)
class Feedback:
    """How errors of a matrix (R, C) are fed on, in units of its scaled steps.

    Attributes
    ----------
    scales : Scales or None
        Steps of rows and columns; None where all are one.
    along : ndarray (C, C) or (0, 0) float32
        [k, j], j > k: what an error in column k adds to the target of column j. Where it is empty, nothing is fed on,
        across neither.
    across : ndarray (R, R) or (0, 0) float32
        [i, k], k < i: what a residual of row k adds to the target of row i.
    row_weight, column_weight : ndarray (R,), (C,) float32
        Their products weigh the squared residuals, and are 1 in the mean.
    weight : float
        What a squared error in scaled units costs, in the mean.
    """

    scales: Scales | None
    along: NDArray[np.float32]
    across: NDArray[np.float32]
    row_weight: NDArray[np.float32]
    column_weight: NDArray[np.float32]
    weight: float

    @classmethod
    def of(cls, rows: NDArray[Any], columns: NDArray[Any], run: int = 1) -> Feedback:
        """Prepare it from moments.

        Parameters
        ----------
        rows : ndarray (R, R) or (R,)
            G, or its diagonal: then rows are not coupled.
        columns : ndarray (C, C) or (C,)
            A, or its diagonal.
        run : int
            Columns that share a step, a divisor of C.
        """
        across, down = _factor(rows, ROW_DAMPING)
        along, right = _factor(columns, COLUMN_DAMPING)
        row_scales = _exponents(down, 1, len(right))
        column_scales = _exponents(right, run, len(down))
        scales = None
        if len(row_scales) or len(column_scales):
            scales = Scales(row_scales, column_scales, run if len(column_scales) else 1)
            row_factor = 2.0 ** (row_scales / PER_OCTAVE) if len(row_scales) else np.ones(len(down))
            column_factor = (
                2.0 ** (np.repeat(column_scales, run) / PER_OCTAVE) if len(column_scales) else np.ones(len(right))
            )
            along = along * column_factor[:, None] / column_factor if len(along) else along
            across = across * row_factor[:, None] / row_factor if len(across) else across
            down, right = down * row_factor**2, right * column_factor**2
        weight = 0.5 * float(down.mean()) * float(right.mean())
        return cls(
            scales,
            np.ascontiguousarray(along, np.float32),
            np.ascontiguousarray(across.T, np.float32),
            (down / down.mean()).astype(np.float32),
            (right / right.mean()).astype(np.float32),
            weight,
        )

    def factors(self) -> NDArray[np.float32]:
        """What the values of the matrix are divided by before anything else, (R, C)."""
        shape = (len(self.row_weight), len(self.column_weight))
        return np.ones(shape, np.float32) if self.scales is None else self.scales.steps(np.float32(1), *shape)


def quantize_with_feedback(
    values: NDArray[np.float32],
    step: float,
    layout: tuple[int, int, int, int, int, bool],
    feedback: Feedback,
    *,
    slope: float = SLOPE,
) -> Levels:
    """Choose the levels with the least loss + slope * step^2 * bits; `trellis.quantize` with feedback.

    Parameters
    ----------
    values : ndarray (R * C,) float32
        Finite, divided by `feedback.factors`.
    step, layout, slope
        As for `trellis.quantize`.
    """
    if not len(feedback.along):
        return quantize(values, step, layout, slope=slope)
    shape = (len(feedback.row_weight), len(feedback.column_weight))
    x = np.ascontiguousarray(values.reshape(shape) * np.float32(1 / step), np.float32)
    levels, _, offsets, _, _ = _native.search_feedback(
        x, feedback.along, feedback.across, feedback.row_weight, feedback.column_weight, layout, slope, ROUNDS
    )
    return Levels(levels, tuple(offsets))


def _factor(moments: NDArray[Any], damping: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C and D of the damped moments C D C^T, C upper triangular with ones; of a diagonal, C is empty."""
    moments = moments.astype(np.float64)
    if moments.ndim == 1:
        level = max(float(moments.mean()), 1e-30)
        return np.zeros((0, 0)), np.maximum(moments, 0) + damping * level
    size = len(moments)
    more = damping * max(float(np.trace(moments)) / size, 1e-30)
    damped = (moments + moments.T) / 2 + more * np.eye(size)
    while True:
        try:
            lower = np.linalg.cholesky(damped[::-1, ::-1])
            break
        except np.linalg.LinAlgError:  # no moments at all, or rounding made them indefinite
            more = 4 * max(more, 1e-6 * float(np.abs(moments).max()))
            damped += more * np.eye(size)
    upper = lower[::-1, ::-1]
    diagonal = np.diag(upper).astype(np.float64)
    return upper / diagonal, diagonal**2


def _exponents(diagonal: NDArray[np.float64], run: int, times: int) -> NDArray[np.int8]:
    """The best exponents for diagonal weights; none where they gain less than they cost."""
    wanted = -0.5 * np.log2(diagonal).reshape(-1, run).mean(1)
    wanted = np.rint(PER_OCTAVE * (wanted - wanted.mean()))
    exponents = np.clip(wanted, -MOST_EXPONENT, MOST_EXPONENT).astype(np.int8)
    scaled = diagonal * np.repeat(4.0 ** (exponents / PER_OCTAVE), run)
    gain = 0.5 * np.log2(diagonal.mean() / scaled.mean()) + 0.5 * np.mean(np.log2(scaled / diagonal))
    return exponents if gain * len(diagonal) * times > SCALE_BITS * len(exponents) else _NOTHING
