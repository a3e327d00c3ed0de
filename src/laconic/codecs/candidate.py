"""A tensor that is to be coded at a lambda, and what is known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_blocks import is_small
from laconic.codecs.array_trellis import least_step
from laconic.quantize.feedback import Feedback
from laconic.quantize.trellis import SLOPE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_gaps import Gaps
    from laconic.codecs.curvature import Curvature
    from laconic.signals.tensors import Tensor

__all__ = ["Candidate", "deviation_of", "runs_of"]

SAMPLE, RUN = 1 << 16, 1 << 12
WIDEST = 1.0
"""The widest step, in root mean squares of a tensor."""


@dataclass
class Candidate:
    """One tensor and what is known of it."""

    tensor: Tensor
    values: NDArray[np.float32] | None
    """Its numbers, or how they differ from those of the base; None where only exact words will do."""
    sample: NDArray[np.float32]
    own_sample: NDArray[np.float32]
    """Of the numbers themselves."""
    differs: bool = False
    feedback: Feedback | None = None
    weight: float = 1.0
    deviation: float = 0.0
    least: float = 1e-36
    curvature: Curvature | None = None

    @classmethod
    def of(cls, tensor: Tensor, base: NDArray[Any] | None, curvature: Curvature | None) -> Candidate:
        """Take a tensor, the words of its base if there are any, and what its errors cost if that is known."""
        nothing = np.empty(0, np.float32)
        words = tensor.words
        is_same = base is not None and np.array_equal(words, base)
        is_constant = tensor.count != 1 and not (words != words[:1]).any()
        if tensor.kind.group != "float" or is_same or is_constant:
            return cls(tensor, None, nothing, nothing)
        with np.errstate(over="ignore"):
            numbers = np.ascontiguousarray(tensor.numbers().astype(np.float32))
        if not np.isfinite(numbers).all() or float(np.abs(numbers).max()) <= 1e-30:
            return cls(tensor, None, nothing, nothing)
        values, differs = numbers, False
        # What has no negative numbers must not get any, and a difference with an error could be one.
        if base is not None and float(numbers.min()) < 0 < float(numbers.max()):
            with np.errstate(all="ignore"):
                difference = numbers - replace(tensor, words=base).numbers().astype(np.float32)
            # At the same step, the smaller deviation takes fewer bits.
            if np.isfinite(difference).all() and deviation_of(difference) < deviation_of(numbers):
                values, differs = np.ascontiguousarray(difference), True
        weight, feedback = 1.0, None
        if curvature is not None:
            weight = curvature.weight
            if curvature.rows is not None and curvature.columns is not None and not is_small(tensor):
                run = math.prod(tensor.shape[2:])
                feedback = Feedback.of(curvature.rows, curvature.columns, run)
                weight, values = feedback.weight, values / feedback.factors().ravel()
        sample = runs_of(values)
        least = max(least_step(values), 1e-36)
        known = curvature if feedback is not None else None
        return cls(
            tensor, values, sample, runs_of(numbers), differs, feedback, weight, deviation_of(sample), least, known
        )

    def reduced(self, matrix: NDArray[np.float32], gaps: Gaps) -> Candidate:
        """The same for what gaps leave of the matrix, and what that has become in units of the numbers."""
        weight, feedback, values = self.weight, None, matrix.ravel()
        if self.curvature is not None:
            rows, columns = gaps.kept

            def left(moments: NDArray[np.float32] | None, kept: NDArray[np.int64]) -> NDArray[np.float32]:
                assert moments is not None
                return moments[kept] if moments.ndim == 1 else moments[np.ix_(kept, kept)]

            feedback = Feedback.of(left(self.curvature.rows, rows), left(self.curvature.columns, columns), gaps.run)
            weight, values = feedback.weight, values / feedback.factors().ravel()
        least, deviation = max(least_step(values), 1e-36), deviation_of(values)
        return replace(self, values=values, feedback=feedback, weight=weight, deviation=deviation, least=least)

    def step(self, price: float) -> float:
        """The step at a lambda, in units of the values: from half a bit down it stays, and only the price goes on."""
        wanted = math.sqrt(price / (self.weight * SLOPE))
        return float(np.float32(max(min(wanted, WIDEST * self.deviation), self.least)))

    def slope(self, price: float) -> float:
        """Lambda in squared steps."""
        return min(max(price / (self.weight * self.step(price) ** 2), SLOPE), 1e6)


def runs_of(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `SAMPLE` values: whole runs, evenly spread."""
    if len(values) <= SAMPLE:
        return values
    begins = np.linspace(0, len(values) - RUN, SAMPLE // RUN).astype(np.int64)
    return np.concatenate([values[begin : begin + RUN] for begin in begins])


def deviation_of(values: NDArray[np.float32]) -> float:
    """Root mean square."""
    return math.sqrt(float(np.mean(values.astype(np.float64) ** 2)) or 1e-60)
