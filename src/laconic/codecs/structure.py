"""What a matrix has besides its levels, where lambda chooses it: a correction of low rank, rows and columns left out.

Each is tried where what it saves is likely to be more than what it costs, coded, and kept if error + lambda bits has
become less. A correction is either taken from the matrix before the rest of it is quantized, which pays where a few
directions carry most of it (a fine-tuned model less its base; LoRA, Hu et al., ICLR 2022), or made of what quantization
left over (LQER, Zhang et al., ICML 2024), both in the metric of the curvature where that is known (EoRA, Liu et al.,
2024). Error feedback leaves nothing over that has a direction, so with calibration the latter is rare.

Whatever is left out, the other columns and rows make up for, as far as the curvature lets them (Frantar & Alistarh,
SparseGPT, ICML 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from laconic.codecs.array_gaps import Gaps
from laconic.codecs.array_low_rank import encode_low_rank, finest_step
from laconic.codecs.array_trellis import encode_trellis, least_step
from laconic.codecs.loss import Loss
from laconic.container.array_index import MAX_RANK
from laconic.quantize.trellis import SLOPE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from laconic.codecs.array_blocks import Block
    from laconic.codecs.array_trellis import TrellisTensor
    from laconic.codecs.candidate import Candidate

__all__ = ["Coder", "Structure", "code", "structured"]

MOST_TRIED = 32
"""Rank of a correction that is looked for."""
MOST_WEIGHTS = 1 << 26
"""Of a matrix: of larger ones, tables of embeddings, the search would take more memory than all else."""
HEAD_BITS = 8 * 18
"""What a correction takes beside its points, nearly."""
NOISE = 0.5 / math.log(2)
"""Squared error of a value that is coded at lambda, in lambda: where 6 dB take a bit."""
ZERO_IN_ROW, ZERO_IN_COLUMN = 0.02, 0.17
"""Bits that a zero takes where the whole row, or the whole column, is zero."""
WORTH = 0.003
"""Of the cost: what is likely to save less is not tried."""


@dataclass(frozen=True, eq=False)
class Structure:
    """What was chosen for a matrix: `rank` of the correction, whether it was taken off before, and gaps."""

    rank: int = 0
    is_before: bool = False
    gaps: Gaps | None = None


@dataclass(frozen=True, eq=False)
class Coded:
    """A matrix that was coded, and what that cost: error + lambda bits."""

    found: TrellisTensor
    structure: Structure
    cost: float


@dataclass(frozen=True, eq=False)
class Coder:
    """Codes a matrix at a lambda.

    Attributes
    ----------
    block : Block
        Of one matrix (R, C).
    one : Candidate
        The matrix, or what the gaps leave of it.
    price : float
        Lambda.
    trellis_bits : int
    contexts : int or None
    gaps : Gaps or None
    """

    block: Block
    one: Candidate
    price: float
    trellis_bits: int
    contexts: int | None
    gaps: Gaps | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of what is coded."""
        columns = self.block.tensor.columns
        return (self.block.tensor.count // columns, columns) if self.gaps is None else self.gaps.inner

    @property
    def values(self) -> NDArray[np.float32]:
        """The matrix in scaled units."""
        assert self.one.values is not None
        return self.one.values.reshape(self.shape)

    def loss(self) -> Loss:
        """What errors in scaled units cost."""
        return Loss.of(self.one.feedback, self.one.weight)

    def code(
        self, values: NDArray[np.float32] | None = None, low_rank: tuple[int, bytes] | None = None
    ) -> TrellisTensor:
        """Encode the matrix, or other values in its place."""
        numbers = np.ascontiguousarray(self.values if values is None else values).ravel()
        return encode_trellis(
            self.block,
            numbers,
            max(self.one.step(self.price), least_step(numbers)),
            slope=self.one.slope(self.price),
            trellis_bits=self.trellis_bits,
            contexts=self.contexts,
            base=self.block.base if self.one.differs else None,
            feedback=self.one.feedback,
            gaps=self.gaps,
            low_rank=low_rank,
        )

    def decoded(self, found: TrellisTensor) -> NDArray[np.float32]:
        """What a decoder gets, less the base, in scaled units."""
        tensor = self.block.tensor
        numbers = replace(tensor, words=found.words).numbers().astype(np.float32)
        if self.one.differs:
            assert self.block.base is not None
            numbers = numbers - replace(tensor, words=self.block.base).numbers().astype(np.float32)
        matrix = numbers.reshape(-1, tensor.columns)
        if self.gaps is not None:
            matrix = self.gaps.without(matrix)
        return matrix if self.one.feedback is None else matrix / self.one.feedback.factors()

    def bits(self, found: TrellisTensor) -> float:
        """What the payload costs, in the unit of errors."""
        return self.price * 8 * len(found.payload)


def code(coder: Coder, structure: Structure) -> TrellisTensor:
    """Encode a matrix with a structure that was chosen before, of a lambda near this one."""
    if structure.gaps is not None:
        coder = _without(coder, structure.gaps)
    if not structure.rank:
        return coder.code()
    if structure.is_before:
        return _corrected_before(coder, structure.rank)
    return _corrected_after(coder, coder.code(), structure.rank)


def structured(coder: Coder) -> tuple[TrellisTensor, Structure]:
    """Encode a matrix with the structure that costs least."""
    plain = coder.code()
    if coder.values.size > MOST_WEIGHTS:
        return plain, Structure()
    loss = coder.loss()
    cost = loss.of_error(coder.values - coder.decoded(plain)) + coder.bits(plain)
    best = Coded(plain, Structure(), cost)
    for attempt in (_gaps, _low_rank):
        best = attempt(coder, loss, best)
    return best.found, best.structure


# --- corrections of low rank


def _low_rank(coder: Coder, loss: Loss, best: Coded) -> Coded:
    """The best correction on top of what is best so far."""
    if not coder.one.differs and not coder.values.min() < 0 < coder.values.max():
        return best  # what has no negative numbers must not get any
    gaps = best.structure.gaps
    inner = coder if gaps is None else _without(coder, gaps)
    own = loss if gaps is None else inner.loss()
    most = min(MOST_TRIED, MAX_RANK, *inner.shape)
    residual = inner.values - inner.decoded(best.found)
    tried: list[tuple[TrellisTensor, Structure]] = []
    for matrix, is_before in ((inner.values, True), (residual, False)):
        rank, saved = _likely(inner, own, matrix, most, is_before=is_before)
        if saved > WORTH * best.cost:
            found = _corrected_before(inner, rank) if is_before else _corrected_after(inner, best.found, rank)
            tried.append((found, Structure(rank, is_before, gaps)))
    # Measured as the plain file is: by the metric of the whole matrix.
    others = [Coded(found, structure, _cost(coder, loss, found)) for found, structure in tried]
    return min([best, *others], key=lambda one: one.cost)


def _likely(coder: Coder, loss: Loss, matrix: NDArray[Any], most: int, *, is_before: bool) -> tuple[int, float]:
    """The rank at which a correction is likely to save most, and how much: by the theory of Gaussian values."""
    s, down, along = loss.nearest(matrix, most)
    power = loss.weight * s**2
    step = _step_of_factors(coder, loss, s)
    bits = np.zeros(len(s))
    for factors in (down, along):
        bits += factors.shape[1] * np.log2(1 + 2 * np.sqrt(np.square(factors).mean(1)) / step)
    ranks = np.arange(1, len(s) + 1)
    paid = coder.price * (np.cumsum(bits + NOISE * sum(coder.shape)) + HEAD_BITS)
    gained = np.cumsum(power)
    if is_before:
        count, level = matrix.size, NOISE * coder.price
        mean = loss.of_error(matrix) / count
        rest = np.maximum(mean - gained / count, 0)
        gained = coder.price * count / 2 * (np.log2(1 + mean / level) - np.log2(1 + rest / level))
    saved = gained - paid
    best = int(np.argmax(saved))
    return int(ranks[best]), float(saved[best])


def _step_of_factors(coder: Coder, loss: Loss, s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The steps that lambda asks of factors that share singular values, for each rank up to theirs."""
    down, along = loss.reach
    mean = np.cumsum(s) / np.arange(1, len(s) + 1)
    return np.sqrt(coder.price / (SLOPE * loss.weight * math.sqrt(down * along) * np.maximum(mean, 1e-30)))


def _correction(coder: Coder, loss: Loss, matrix: NDArray[Any], rank: int) -> tuple[bytes, NDArray[np.float32]]:
    """The correction of a rank that leaves least of a matrix: spelled, and what it is for a decoder."""
    s, down, along = loss.nearest(matrix, rank)
    # Where errors in one factor weigh more, it is the larger one: then a step for both is right.
    reach = loss.reach
    balance = (reach[0] / reach[1]) ** 0.25
    down, along = down * balance, along / balance
    step = max(float(_step_of_factors(coder, loss, s)[-1]), finest_step(down, along))
    spelled, found = encode_low_rank(down, along, step, trellis_bits=coder.trellis_bits)
    return spelled, found.added(np.zeros(coder.shape, np.float32), None)


def _corrected_before(coder: Coder, rank: int) -> TrellisTensor:
    """The leading directions of the matrix, and the rest quantized."""
    spelled, correction = _correction(coder, coder.loss(), coder.values, rank)
    return coder.code(coder.values - correction, (rank, spelled))


def _corrected_after(coder: Coder, found: TrellisTensor, rank: int) -> TrellisTensor:
    """The matrix quantized, and the leading directions of what that left over."""
    residual = coder.values - coder.decoded(found)
    spelled, _ = _correction(coder, coder.loss(), residual, rank)
    base = coder.block.base if coder.one.differs else None
    return found.corrected(coder.block, rank, spelled, base)


def _cost(coder: Coder, loss: Loss, found: TrellisTensor) -> float:
    return loss.of_error(coder.values - coder.decoded(found)) + coder.bits(found)


# --- rows and columns that are left out


def _gaps(coder: Coder, loss: Loss, best: Coded) -> Coded:
    """Leave out what is not worth its bits."""
    gaps = _unworthy(coder, loss, best)
    if gaps is None:
        return best
    found = _without(coder, gaps).code()
    cost = _cost(coder, loss, found)
    return Coded(found, Structure(gaps=gaps), cost) if cost < best.cost else best


def _unworthy(coder: Coder, loss: Loss, best: Coded) -> Gaps | None:
    """Rows, and columns of an input channel, that likely cost more bits than their absence costs."""
    values, decoded = coder.values, coder.decoded(best.found)
    (rows, columns), run = coder.shape, math.prod(coder.block.tensor.shape[2:])
    lost = loss.of_error(values - decoded) / values.size
    sizes = np.log2(1 + 2 * np.abs(decoded) / coder.one.step(coder.price))
    total = coder.bits(best.found)
    missing: list[NDArray[np.bool_]] = []
    saved = 0.0
    for axis, floor in ((0, ZERO_IN_ROW), (1, ZERO_IN_COLUMN)):
        grouped = (rows, 1, columns) if axis == 0 else (rows, columns // run, run)
        own = (sizes + floor).reshape(grouped).sum((1, 2) if axis == 0 else (0, 2))
        harm = loss.weight * (_harm_of_rows(loss, values) if axis == 0 else _harm_of_columns(loss, values, run))
        change = harm - lost * values.size / len(own) - total * own / own.sum()
        out = change < 0
        if coder.one.feedback is None:
            out &= ~decoded.reshape(grouped).any((1, 2) if axis == 0 else (0, 2))
        if out.all() or -change[out].sum() < coder.price * len(out):
            out[:] = False
        missing.append(out)
        saved -= float(change[out].sum())
    if saved < WORTH * best.cost:
        return None
    return Gaps(missing[0], missing[1], run)


def _harm_of_rows(loss: Loss, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """What it costs to leave out each row, without the weight, when the others make up for it."""
    power = np.square(Loss(1.0, None, loss.right).whitened(values)).sum(1)
    if loss.left is None:
        return power
    if loss.left.ndim == 1:
        return power * loss.left**2
    return power / np.diag(np.linalg.inv(loss.left.T @ loss.left))


def _harm_of_columns(loss: Loss, values: NDArray[np.float32], run: int) -> NDArray[np.float64]:
    """The same for each run of columns."""
    down = Loss(1.0, loss.left, None).whitened(values).reshape(len(values), -1, run)
    if loss.right is None:
        return np.square(down).sum((0, 2))
    if loss.right.ndim == 1:
        return np.square(down * loss.right.reshape(-1, run)).sum((0, 2))
    inverse = np.linalg.inv(loss.right @ loss.right.T)
    found: list[float] = []
    for place in range(down.shape[1]):
        own = slice(place * run, (place + 1) * run)
        found.append(float(np.einsum("ia,ab,ib->", down[:, place], np.linalg.inv(inverse[own, own]), down[:, place])))
    return np.array(found)


def _without(coder: Coder, gaps: Gaps) -> Coder:
    """The same matrix with gaps; what is left makes up for what is not."""
    loss, values = coder.loss(), coder.values.astype(np.float64)
    rows, columns = gaps.kept
    if loss.right is not None and loss.right.ndim == 2 and len(columns) < values.shape[1]:
        moments, out = loss.right @ loss.right.T, np.flatnonzero(np.repeat(gaps.columns, gaps.run))
        share = np.linalg.solve(moments[np.ix_(columns, columns)], moments[np.ix_(columns, out)])
        values[:, columns] += values[:, out] @ share.T
    if loss.left is not None and loss.left.ndim == 2 and len(rows) < len(values):
        moments, out = loss.left.T @ loss.left, np.flatnonzero(gaps.rows)
        share = np.linalg.solve(moments[np.ix_(rows, rows)], moments[np.ix_(rows, out)])
        values[rows] += share @ values[out]
    if coder.one.feedback is not None:
        values *= coder.one.feedback.factors()
    one = coder.one.reduced(np.ascontiguousarray(values[np.ix_(rows, columns)], np.float32), gaps)
    return replace(coder, one=one, gaps=gaps)
